"""Critics: what judges a generator in training and stays unpublished."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Trunk(nn.Module):
    """(batch, dim) -> (batch, width): a residual network with leaky units, which keep a critic's gradient alive."""

    def __init__(self, size: int, width: int, depth: int = 2):
        super().__init__()
        self.input = nn.Linear(size, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.input(inputs)
        for layer in self.layers:
            hidden = hidden + layer(F.leaky_relu(hidden, 0.2))
        return F.leaky_relu(hidden, 0.2)


class ProjectionCritic(nn.Module):
    """Scores features given emotion and text (Miyato and Koyama, 2018): D(h) + <phi(h), e_c + W t>."""

    def __init__(self, feature_size: int, num_labels: int, text_size: int = 0, width: int = 256):
        super().__init__()
        self.trunk = _Trunk(feature_size, width)
        self.score = nn.Linear(width, 1)
        self.label_embedding = nn.Embedding(num_labels, width)
        self.text_projection = nn.Linear(text_size, width, bias=False) if text_size else None

    def forward(self, features: Tensor, labels: Tensor, text: Tensor | None = None) -> Tensor:
        """Features (batch, feature size), labels (batch,), text (batch, text size) or None -> scores (batch,)."""
        hidden = self.trunk(features)
        condition = self.label_embedding(labels)
        if self.text_projection is not None and text is not None:
            condition = condition + self.text_projection(text)
        return self.score(hidden)[:, 0] + (hidden * condition).sum(1) / hidden.shape[1] ** 0.5


class VariationalCritic(nn.Module):
    """q(c | h) and a diagonal Gaussian q(t | h) (Chen et al., 2016)."""

    def __init__(self, feature_size: int, num_labels: int, text_size: int = 0, width: int = 256):
        super().__init__()
        self.hidden = nn.Linear(feature_size, width)
        self.labels = nn.Linear(width, num_labels)
        self.text = nn.Linear(width, text_size) if text_size else None
        self.text_log_variance = nn.Parameter(torch.zeros(text_size)) if text_size else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (batch, feature size) -> label logits (batch, labels) and text mean (batch, text size) or None."""
        hidden = F.silu(self.hidden(features))
        return self.labels(hidden), None if self.text is None else self.text(hidden)


class PairCritic(nn.Module):
    """Scores every feature of a batch against every condition (c, t): f(h)^T g(c, t)."""

    def __init__(self, feature_size: int, num_labels: int, text_size: int = 0, width: int = 256):
        super().__init__()
        self.features = _Trunk(feature_size, width, depth=1)
        self.label_embedding = nn.Embedding(num_labels, width)
        self.text = nn.Linear(text_size, width, bias=False) if text_size else None

    def forward(self, features: Tensor, labels: Tensor, text: Tensor | None = None) -> Tensor:
        """Shapes as in `ProjectionCritic`; returns scores (batch, batch), feature i against condition j."""
        condition = self.label_embedding(labels)
        if self.text is not None and text is not None:
            condition = condition + self.text(text)
        return self.features(features) @ condition.t() / condition.shape[1] ** 0.5
