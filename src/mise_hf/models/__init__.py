"""Configurations and models that travel to the Hub.

Every module here is flat: it imports the standard library, torch, transformers and its own siblings, never `mise_hf`.
"""
