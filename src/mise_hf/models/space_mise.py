"""The encoder space: standardised principal components of a frozen encoder's pooled states.

Travels to the Hub with the models: imports torch, transformers and siblings of this folder, never `mise_hf`. The
space is part of a checkpoint, so whoever runs the same encoder can move their own states in and generated features
out.
"""

import torch
from torch import Tensor, nn


class MiseFeatureSpace(nn.Module):
    """Linear map between pooled states (batch, state size) and features (batch, feature size).

    Features are the principal components of the standardised states: h = ((x - mean) / scale) components^T. The rows of
    `components` are orthonormal, so `lift` is the least-squares inverse of `project`.
    """

    def __init__(self, state_size: int, feature_size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(state_size))
        self.register_buffer("scale", torch.ones(state_size))
        self.register_buffer("components", torch.eye(feature_size, state_size))

    @torch.no_grad()
    def fit(self, states: Tensor) -> "MiseFeatureSpace":
        """Take mean, scale and components from training rows `states` (utterances, state size); returns itself.

        With fewer rows than components, the components left over are zero: they carry nothing.
        """
        if states.dim() != 2 or states.shape[1] != len(self.mean) or len(states) < 2:
            raise ValueError(f"states have shape {tuple(states.shape)}; wanted (2 or more, {len(self.mean)})")
        states = states.double()
        mean = states.mean(0)
        scale = states.std(0, correction=0)
        # A dimension that never moves carries nothing: dividing by its rounding noise would blow that noise up.
        scale = torch.where(scale > 1e-6 * scale.max().clamp_min(1e-30), scale, torch.ones_like(scale))
        standard = (states - mean) / scale
        right = torch.linalg.svd(standard, full_matrices=False).Vh
        # The sign of a component is arbitrary: fixed so that the same rows give the same space on every machine.
        right = right * torch.sign(right.gather(1, right.abs().argmax(1, keepdim=True)))
        keep = min(len(self.components), len(right), len(states) - 1)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.components.zero_()
        self.components[:keep] = right[:keep].to(self.components.dtype)
        return self

    def standardise(self, states: Tensor, like: Tensor | None = None) -> Tensor:
        """States (batch, state size) in units of the space; `like` (rows, state size) gives another corpus' own units.

        A corpus recorded elsewhere has another mean and scale; standardised on its own training rows it lands where
        the checkpoint's corpus lies.
        """
        if like is None:
            return (states - self.mean) / self.scale
        scale = like.std(0, correction=0)
        scale = torch.where(scale > 1e-6 * scale.max().clamp_min(1e-30), scale, torch.ones_like(scale))
        return (states - like.mean(0)) / scale

    def project(self, states: Tensor, like: Tensor | None = None) -> Tensor:
        """Pooled states (batch, state size) -> features (batch, feature size); `like` as in `standardise`."""
        return self.standardise(states, like) @ self.components.t()

    def lift(self, features: Tensor) -> Tensor:
        """Features (batch, feature size) -> standardised states (batch, state size)."""
        return features @ self.components
