"""A modern rival: conditional flow matching (Lipman et al., 2023, "Flow Matching for Generative Modeling").

A velocity field v(x_t, t, c) learns x_1 - x_0 along straight lines from noise x_0 to a training row x_1 (their section
4.1 with no noise left at the end); rows are made by following it from noise, with the midpoint rule.
"""

import numpy as np
import torch
from torch import Tensor, nn

from mise_hf.benchmark.place import Draw

HIDDEN, BATCH, RATE = 256, 128, 1e-3
# Frequencies that tell the field the time.
WAVES = 8
# Steps from noise to a row.
MIDPOINTS = 20
# Weights averaged over steps, as in training diffusion models.
DECAY = 0.99


class Velocity(nn.Module):
    """v(x, t, c): (rows, dim), (rows, 1), int64 (rows,) -> (rows, dim)."""

    def __init__(self, size: int, classes: int):
        super().__init__()
        self.emotion = nn.Embedding(classes, 32)
        self.layers = nn.Sequential(
            nn.Linear(size + 2 * WAVES + 32, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, size),
        )

    def forward(self, rows: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """Velocity of each row."""
        angle = time * torch.arange(1, WAVES + 1) * torch.pi
        return self.layers(torch.cat([rows, angle.sin(), angle.cos(), self.emotion(labels)], dim=1))


def fit_flow(features: np.ndarray, labels: np.ndarray, classes: int, *, seed: int, steps: int) -> Draw:
    """Train on float (rows, dim) and int (rows,), classes equally often; returns wanted emotions -> rows."""
    source = torch.Generator().manual_seed(seed)
    real = torch.as_tensor(features, dtype=torch.float32)
    centre, unit = real.mean(0), float(real.std(0).mean())
    real = (real - centre) / unit
    codes = torch.as_tensor(labels, dtype=torch.int64)
    weight = 1 / torch.bincount(codes, minlength=classes)[codes].float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        field = Velocity(real.shape[1], classes)
        averaged = Velocity(real.shape[1], classes)
    averaged.load_state_dict(field.state_dict())
    optimizer = torch.optim.Adam(field.parameters(), lr=RATE, fused=True)
    for step in range(steps):
        chosen = torch.multinomial(weight, BATCH, replacement=True, generator=source)
        end = real[chosen]
        start = torch.randn(end.shape, generator=source)
        time = torch.rand(BATCH, 1, generator=source)
        loss = (field((1 - time) * start + time * end, time, codes[chosen]) - (end - start)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay = min(DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(averaged.parameters(), field.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)

    @torch.no_grad()
    def draw(wanted: np.ndarray, seed: int) -> np.ndarray:
        emotions = torch.as_tensor(wanted, dtype=torch.int64)
        rows = torch.randn(len(emotions), real.shape[1], generator=torch.Generator().manual_seed(seed))
        width = 1 / MIDPOINTS
        for number in range(MIDPOINTS):
            time = torch.full((len(emotions), 1), number * width)
            half = rows + width / 2 * averaged(rows, time, emotions)
            rows = rows + width * averaged(half, time + width / 2, emotions)
        return (rows * unit + centre).numpy()

    return draw
