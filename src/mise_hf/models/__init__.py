"""The models that leave for the Hub. Imports torch, transformers and this folder's files, never `mise_hf`."""
