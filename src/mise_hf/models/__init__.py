"""The models that leave for the Hub: flat files that import torch, transformers and each other, never `mise_hf`."""
