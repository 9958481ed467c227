"""Generators of the training rows themselves, whose moments are estimated again with a prior's caution.

A generator of few rows believes its class means; here they are pulled together by empirical Bayes and its covariance is
mixed. Settings are chosen by untrained generators (`mise_hf.transfer.own`) that have not heard the left-out speakers,
so they are the same for the trained generator and for the Gaussian.
"""

from mise_hf.benchmark.sharing import shared_arguments, start_shared, train_shared
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_generator import MiseGenerator

OWN, OWN_GAUSSIAN = "MISE, re-estimated", "class Gaussian, re-estimated"
RE_ESTIMATED = (OWN, OWN_GAUSSIAN)


def own_generator(name: str, train: FeatureTable, *, licence: str, seed: int, steps: int) -> MiseGenerator:
    """One of `RE_ESTIMATED`: a trained generator of all layers of the rows, or the Gaussian that it starts from."""
    arguments = shared_arguments(train.audio_layers, seed=seed, steps=steps)
    return (train_shared if name == OWN else start_shared)(train, arguments, licence=licence)
