import numpy as np
import pytest

from mise_hf.features.batches import bucket


@pytest.mark.parametrize("seed", range(5))
def test_every_clip_once_within_budget_and_with_little_padding(seed):
    lengths = np.random.default_rng(seed).lognormal(1.0, 0.7, 256).tolist()
    batches = bucket(lengths, 40.0)
    assert sorted(index for batch in batches for index in batch) == list(range(256))
    padded = 0.0
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        area = longest * len(batch)
        assert area <= 40.0 or len(batch) == 1
        assert sum(lengths[index] for index in batch) >= 0.92 * area - 1e-9
        padded += area
    assert 1 - sum(lengths) / padded < 0.10
    assert batches == bucket(lengths, 40.0)


def test_odd_lengths():
    assert bucket([], 10.0) == []
    assert bucket([0.0, 0.0], 10.0) == [[0, 1]]
    assert bucket([100.0, 1.0], 10.0) == [[1], [0]]
    with pytest.raises(ValueError, match="budget of a batch is 0"):
        bucket([1.0], 0)
