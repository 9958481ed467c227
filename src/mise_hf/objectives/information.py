"""The regulariser that keeps I((c, t); h_hat) high, from the bounds in `models/loss_mise.py`; nats."""

import torch
from torch import Tensor

from mise_hf.models.loss_mise import gaussian_bound, label_bound, mutual_information_bound, negative_mask


def variational_information(
    label_logits: Tensor,
    labels: Tensor,
    prior: Tensor,
    text_mean: Tensor | None = None,
    text_log_variance: Tensor | None = None,
    text: Tensor | None = None,
) -> Tensor:
    """InfoGAN's bound: I(c; h) + I(t; h | q) >= H(c) + E[log q(c | h)] + E[log q(t | h)] / dim(t).

    The text's part is taken per dimension, or a text embedding of hundreds of dimensions drowns the emotion; its
    constant H(t) is left out.

    Args:
        label_logits: (batch, labels).
        labels: int64 (batch,).
        prior: (labels,), with which labels are drawn.
        text_mean: (batch, text dim), with `text_log_variance` (text dim,) and the `text` (batch, text dim) that
            conditioned the rows; None without text.

    Returns:
        Scalar.
    """
    bound = label_bound(label_logits, labels, prior)
    if text is None or text_mean is None or text_log_variance is None:
        return bound
    return bound + gaussian_bound(text_mean, text_log_variance, text) / text.shape[1]


def contrastive_information(scores: Tensor, labels: Tensor, text_ids: Tensor | None, bound: str) -> Tensor:
    """A critic-based bound on I((c, t); h): pairs with the same emotion and the same text are no negatives.

    Args:
        scores: (batch, batch), critic of feature i and condition j.
        labels: int64 (batch,).
        text_ids: int64 (batch,), equal for equal texts; None without text.
        bound: "info_nce", "nwj" or "smile".

    Returns:
        Scalar. At most log(batch) for "info_nce".
    """
    condition = labels if text_ids is None else labels * (text_ids.max() + 1) + text_ids
    return mutual_information_bound(scores, negative_mask(len(labels), scores.device, condition), bound)


def text_identity(text: Tensor) -> Tensor:
    """int64 (batch,): equal numbers for equal rows of `text` (batch, dim)."""
    return torch.unique(text, dim=0, return_inverse=True)[1]
