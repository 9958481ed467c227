"""Figures and the self-contained HTML report of a run. Reads `results.json`, nothing else; computes no result."""
