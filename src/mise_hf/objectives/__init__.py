"""Training objectives: pure functions of tensors, no input or output, no state.

May import `mise_hf.models` (the bounds live in `models/loss_mise.py`), nothing else of ours.
"""
