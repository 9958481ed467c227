import numpy as np

from mise_hf.benchmark.mixed_lda import class_statistics, mixed_lda
from mise_hf.benchmark.plain import fit_plain


def test_is_the_classifier_of_the_rows_themselves():
    rng = np.random.default_rng(0)
    own_labels, foreign_labels = rng.integers(3, size=40), rng.integers(2, size=90)
    own = rng.normal(size=(40, 6)) + own_labels[:, None]
    foreign = rng.normal(size=(90, 6)) * 2 - foreign_labels[:, None]
    unseen = rng.normal(size=(500, 6)) + 1
    weights, offsets = mixed_lda(
        class_statistics(own, own_labels, 3), class_statistics(foreign, foreign_labels, 3), repeat=4, shrinkage=0.3
    )
    rows, labels = (
        np.concatenate([np.repeat(own, 4, axis=0), foreign]),
        np.concatenate([np.repeat(own_labels, 4), foreign_labels]),
    )
    expected = fit_plain("lda", 0.3, rows, labels, 0)(unseen)
    assert len(set(expected)) == 3
    assert np.array_equal((unseen @ weights.T + offsets).argmax(1), expected)
