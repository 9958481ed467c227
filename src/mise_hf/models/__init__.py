"""The models that leave for the Hub. Imports torch, transformers and files of this folder, never the rest of `mise_hf`."""
