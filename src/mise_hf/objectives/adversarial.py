"""Relativistic adversarial losses and gradient penalties (Jolicoeur-Martineau, 2018; Huang et al., 2024, "R3GAN")."""

import torch
from torch import Tensor
from torch.nn import functional as F


def critic_loss(real_scores: Tensor, synthetic_scores: Tensor) -> Tensor:
    """Relativistic pairing loss of the critic, E[softplus(D(x_hat) - D(x))] (Huang et al., 2024, equation 2).

    Args:
        real_scores, synthetic_scores: (batch,), row i of both for the same condition.
    """
    return F.softplus(synthetic_scores - real_scores).mean()


def generator_loss(real_scores: Tensor, synthetic_scores: Tensor) -> Tensor:
    """Relativistic pairing loss of the generator, E[softplus(D(x) - D(x_hat))]; shapes as in `critic_loss`."""
    return F.softplus(real_scores - synthetic_scores).mean()


def gradient_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    """E[||grad_x D(x)||^2] (Mescheder et al., 2018): R1 on real inputs, R2 on synthetic ones.

    Args:
        scores: (batch,), the critic's.
        inputs: (batch, dim), requiring grad, from which the scores were computed.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    return gradient.square().sum(1).mean()
