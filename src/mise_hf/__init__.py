"""mise_hf."""
