"""Whether a generator has collapsed or its critic is saturated: a look at fixed noise and fixed real rows."""

from collections.abc import Callable

import torch
from torch import Tensor

from mise_hf.objectives.adversarial import critic_loss

PROBE_ROWS = 256
# Share of the real within-class variance below which all samples of a class are alike.
COLLAPSED = 1e-3
# Nats. Below it the generator's gradient, of the same size, is lost beside that of the other terms.
SATURATED = 1e-4


class Probe:
    """Real rows and noise that a generator is looked at with; the same on every process, at every look.

    Args:
        rows: real rows (rows, dim).
        labels: int64 (rows,).
        noise_size: dimensions of the generator's noise.
        device: to look on.
    """

    def __init__(self, rows: Tensor, labels: Tensor, noise_size: int, device: torch.device):
        chosen = torch.linspace(0, len(rows) - 1, min(PROBE_ROWS, len(rows))).long()
        self.rows, self.labels = rows[chosen].to(device), labels[chosen].to(device)
        self.noise = torch.randn(len(chosen), noise_size, generator=torch.Generator().manual_seed(0)).to(device)
        self.real_variance = within_variance(self.rows, self.labels)

    @torch.no_grad()
    def cause(self, make: Callable[[Tensor, Tensor], Tensor], score: Callable[[Tensor, Tensor], Tensor]) -> str | None:
        """What is wrong, or None.

        Args:
            make: noise (rows, noise size) and labels (rows,) -> made rows (rows, dim).
            score: rows (rows, dim) and labels (rows,) -> the critic's scores (rows,).
        """
        made = make(self.noise, self.labels)
        spread = within_variance(made, self.labels)
        if spread < COLLAPSED * self.real_variance:
            return (
                f"the generator has collapsed: within a class its rows vary {spread / self.real_variance:.2g} times as "
                "much as real ones do"
            )
        loss = float(critic_loss(score(self.rows, self.labels), score(made, self.labels)))
        if loss < SATURATED:
            return f"the critic is saturated: its loss is {loss:.2g} nats on {len(made)} rows, which teaches nothing"
        return None


def within_variance(rows: Tensor, labels: Tensor) -> float:
    """Mean over rows and dimensions of the squared distance to the class mean; (rows, dim) and (rows,)."""
    # On the CPU: not every device has float64.
    residual, labels = rows.cpu().double().clone(), labels.cpu()
    for label in labels.unique():
        residual[labels == label] -= residual[labels == label].mean(0)
    return float(residual.square().mean())
