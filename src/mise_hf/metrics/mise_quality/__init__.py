"""The evaluate Space `mise_quality`: everything in this folder runs without mise_hf installed."""
