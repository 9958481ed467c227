"""The encoder space: standardised principal components of a frozen encoder's pooled states.

Travels to the Hub with the models: imports torch, transformers and siblings of this folder, never `mise_hf`. The
space is part of a checkpoint, so whoever runs the same encoder can move their own states in and generated features
out.
"""

import torch
from torch import Tensor, nn
from transformers import initialization as init


class MiseFeatureSpace(nn.Module):
    """Linear map between pooled states (batch, state size) and features (batch, feature size).

    Features are the principal components of the standardised states: h = ((x - mean) / scale) components^T. The rows of
    `components` are orthonormal, so `lift` is the least-squares inverse of `project`.
    """

    mean: Tensor
    scale: Tensor
    components: Tensor

    def __init__(self, state_size: int, feature_size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(state_size))
        self.register_buffer("scale", torch.ones(state_size))
        self.register_buffer("components", torch.eye(feature_size, state_size))

    def initialise(self) -> None:
        """The identity map, for weights that no checkpoint has filled."""
        init.zeros_(self.mean)
        init.ones_(self.scale)
        init.copy_(self.components, torch.eye(*self.components.shape))

    @torch.no_grad()
    def fit(self, states: Tensor) -> "MiseFeatureSpace":
        """Take mean, scale and components from training rows `states` (utterances, state size); returns itself.

        With fewer rows than components, the components left over are zero: they carry nothing.
        """
        if states.dim() != 2 or states.shape[1] != len(self.mean) or len(states) < 2:
            raise ValueError(f"states have shape {tuple(states.shape)}; wanted (2 or more, {len(self.mean)})")
        standard = self.adopt(states).standardise(states).double()
        right = torch.linalg.svd(standard, full_matrices=False).Vh
        self._set_components(right, min(len(right), len(states) - 1))
        return self

    @torch.no_grad()
    def fit_moments(self, mean: Tensor, covariance: Tensor) -> "MiseFeatureSpace":
        """As `fit`, from mean (state size,) and covariance (state size, state size) of the rows, float64."""
        self._set_scale(mean, covariance.diagonal().clamp_min(0).sqrt())
        scale = self.scale.double()
        right = torch.linalg.eigh(covariance / scale[:, None] / scale[None, :]).eigenvectors.flip(1).t()
        self._set_components(right, len(right))
        return self

    @torch.no_grad()
    def adopt(self, states: Tensor) -> "MiseFeatureSpace":
        """Take mean and scale, but not the components, from `states` (utterances, state size); returns itself.

        A corpus recorded elsewhere has another mean and scale; standardised on its own training rows it lands where
        the checkpoint's corpus lies.
        """
        self._set_scale(states.double().mean(0), states.double().std(0, correction=0))
        return self

    def _set_components(self, right: Tensor, known: int) -> None:
        """Take the first of the directions `right` (directions, state size), of which `known` carry something."""
        # The sign of a component is arbitrary: fixed so that the same rows give the same space on every machine.
        right = right * torch.sign(right.gather(1, right.abs().argmax(1, keepdim=True)))
        keep = min(len(self.components), known)
        self.components.zero_()
        self.components[:keep] = right[:keep].to(self.components.dtype)

    def _set_scale(self, mean: Tensor, scale: Tensor) -> None:
        self.mean.copy_(mean)
        # A dimension that never moves carries nothing: dividing by its rounding noise would blow that noise up.
        self.scale.copy_(torch.where(scale > 1e-6 * scale.max().clamp_min(1e-30), scale, torch.ones_like(scale)))

    def standardise(self, states: Tensor) -> Tensor:
        """States (batch, state size) less the mean, over the scale."""
        return (states - self.mean) / self.scale

    def project(self, states: Tensor) -> Tensor:
        """Pooled states (batch, state size) -> features (batch, feature size)."""
        return self.standardise(states) @ self.components.t()

    def lift(self, features: Tensor) -> Tensor:
        """Features (batch, feature size) -> standardised states (batch, state size)."""
        return features @ self.components
