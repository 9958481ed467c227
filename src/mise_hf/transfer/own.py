"""A generator of the target's own rows: made again of a part of them, so that the rest can say how well it does."""

import copy
from typing import cast

import torch

from mise_hf.features import FeatureTable
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace


def remade(generator: MiseGenerator, part: FeatureTable) -> MiseGenerator:
    """What a generator like this one starts from on other rows: class means, speakers and covariance, untrained.

    A transfer asks a generator for its moments alone, and those are what training starts from.

    Args:
        generator: in the encoder space.
        part: rows of its corpus, each emotion at least once.
    """
    config = cast(MiseGeneratorConfig, copy.deepcopy(generator.config))
    states = torch.from_numpy(part.layer(config.state_layers))
    size = min(config.feature_size, len(states) - 1)
    config.feature_size, config.noise_size, config.paired_text_size = size, size + config.speaker_noise_size, 0
    config.id2label = dict(enumerate(part.label_names))
    config.label2id = {name: label for label, name in config.id2label.items()}
    # The moments do not depend on the layers, whose output is zero before training: any seed gives the same.
    with torch.random.fork_rng(devices=[]):
        again = MiseGenerator(config)
    space = MiseFeatureSpace(states.shape[1], size).fit(states)
    again.space.load_state_dict(space.state_dict())
    voices = {name: number for number, name in enumerate(sorted(set(part.speakers)))}
    speakers = torch.tensor([voices[name] for name in part.speakers])
    labels = torch.from_numpy(part.labels)
    return again.start_from(space.project(states), labels, speakers if config.speaker_noise_size else None).eval()
