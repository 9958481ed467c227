"""Corpus to pooled hidden states on disk, in shards; owns audio decoding and the sampling rate.

May import `mise_hf.models` and `mise_hf.corpora`, never training, augmentation, benchmark or report.
"""

from mise_hf.features.embedded import load_embedded, open_table
from mise_hf.features.fingerprint import require_same
from mise_hf.features.table import FeatureTable

__all__ = ["FeatureTable", "load_embedded", "open_table", "require_same"]
