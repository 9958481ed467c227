"""One optimiser for the small networks here. Imports torch only."""

from __future__ import annotations

import torch

MOMENTUM, SPREAD = 0.9, 0.999


class AdamW:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2), written out: importing `torch.optim` costs a new process a second.

    `parameters` are leaf tensors and changed in place; from here on they require gradients.
    """

    def __init__(self, parameters: list[torch.Tensor], rate: float, decay: float):
        self.parameters, self.rate, self.decay = parameters, rate, decay
        self.means, self.squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.steps = 0
        for parameter in parameters:
            parameter.requires_grad_()

    def step(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss` (a scalar)."""
        gradients = torch.autograd.grad(loss, self.parameters)
        self.steps += 1
        with torch.no_grad():
            for p, gradient, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
                mean.lerp_(gradient, 1 - MOMENTUM)
                square.lerp_(gradient**2, 1 - SPREAD)
                p.mul_(1 - self.rate * self.decay)
                spread = (square / (1 - SPREAD**self.steps)).sqrt_().add_(1e-8)
                p.addcdiv_(mean, spread, value=-self.rate / (1 - MOMENTUM**self.steps))

    def values(self) -> list[torch.Tensor]:
        """Copies of the parameters as they are now, without gradients."""
        return [p.detach().clone() for p in self.parameters]


def dropped(hidden: torch.Tensor, share: float, draw: torch.Generator | None) -> torch.Tensor:
    """A `share` of the units (rows, units) set to 0 and the rest scaled up; all kept without `draw`."""
    if draw is None:
        return hidden
    return hidden * (torch.rand(hidden.shape, generator=draw) > share) / (1 - share)
