"""When a training has gone wrong: not finite, or what the training itself calls degenerate."""

import math
from collections.abc import Mapping

import torch
from torch import nn

# Steps between looks at what costs more than the metrics of a step.
CHECK_EVERY = 25


class DivergedError(ValueError):
    """A training went wrong; the message names the cause and the last good checkpoint."""


def not_finite(metrics: Mapping[str, float]) -> str | None:
    """The cause, where a metric is NaN or infinite."""
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    return f"NaN or infinity in {', '.join(f'{name} = {value}' for name, value in bad.items())}" if bad else None


@torch.no_grad()
def not_finite_weights(modules: Mapping[str, nn.Module]) -> str | None:
    """The cause, where a weight is NaN or infinite: a step's loss is taken before its update, so may be fine yet."""
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                return f"NaN or infinity in the weights {name}.{key}"
    return None
