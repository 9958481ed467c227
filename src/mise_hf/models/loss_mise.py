"""Lower bounds on mutual information, in nats, and the contrastive loss; pure functions of tensors.

Travels to the Hub with the models: imports torch and siblings of this folder, never `mise_hf`. `mise_hf.objectives`
builds the training objectives on these. Each bound takes critic scores for every pair of a batch, so all other rows
serve as negatives; gradients flow into the scores.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def negative_mask(size: int, device: torch.device, *same: Tensor | None) -> Tensor:
    """Which pairs (i, j) count as negatives: i != j, and different in each of `same`.

    Args:
        size: rows of the batch.
        device: where the mask is wanted.
        same: integer tensors (batch,): rows with an equal number are no negatives of each other. None is skipped.

    Returns:
        bool (batch, batch).
    """
    mask = ~torch.eye(size, dtype=torch.bool, device=device)
    for ids in same:
        if ids is not None:
            mask &= ids[:, None] != ids[None, :]
    return mask


def contrastive_loss(scores: Tensor, negatives: Tensor) -> Tensor:
    """Symmetric InfoNCE loss (van den Oord et al., 2018, equation 4; symmetric as in CLIP).

    Args:
        scores: (batch, batch), similarity of audio i and text j over the temperature; the diagonal holds the pairs.
        negatives: bool (batch, batch), from `negative_mask`.

    Returns:
        Scalar, the mean of the two directions; 0 for a row without negatives.
    """
    allowed = negatives | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    masked = scores.masked_fill(~allowed, -torch.inf)
    target = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(masked, target) + F.cross_entropy(masked.t(), target)) / 2


def _log_mean_exp(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -torch.inf).flatten().logsumexp(0) - mask.sum().log()


def _require_negatives(negatives: Tensor) -> None:
    if not bool(negatives.any()):
        raise ValueError("the batch has no pair of rows that differ; wanted at least one negative: use a larger batch")


def info_nce_bound(scores: Tensor, negatives: Tensor) -> Tensor:
    """I(x; y) >= E[s_ii - log mean_j exp s_ij], at most log(batch) (van den Oord et al., 2018).

    Args and shapes as in `contrastive_loss`; the mean runs over the pair itself and the row's negatives.

    Returns:
        Scalar in nats.
    """
    _require_negatives(negatives)
    allowed = negatives | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    count = allowed.sum(1).to(scores.dtype)
    return (scores.diagonal() - scores.masked_fill(~allowed, -torch.inf).logsumexp(1) + count.log()).mean()


def nwj_bound(scores: Tensor, negatives: Tensor) -> Tensor:
    """I(x; y) >= E[s_ii] - E[exp(s_ij - 1)] (Nguyen, Wainwright and Jordan, 2010); unbiased, of high variance.

    Args and shapes as in `contrastive_loss`.

    Returns:
        Scalar in nats.
    """
    _require_negatives(negatives)
    return scores.diagonal().mean() - (_log_mean_exp(scores, negatives) - 1).exp()


def smile_bound(scores: Tensor, negatives: Tensor, clip: float = 5.0) -> Tensor:
    """I(x; y) by the smoothed estimator SMILE (Song and Ermon, 2020, equation 10).

    The value is E[s_ii] - log E[clip(exp s_ij, exp(-clip), exp clip)]. The clipping stops its gradient where it binds,
    so the gradient is taken from the Jensen-Shannon objective, as its authors do.

    Args and shapes as in `contrastive_loss`; `clip` in nats.

    Returns:
        Scalar in nats.
    """
    _require_negatives(negatives)
    positive = scores.diagonal()
    value = positive.mean() - _log_mean_exp(scores.clamp(-clip, clip), negatives)
    negative = F.softplus(scores)[negatives].mean()
    surrogate = -F.softplus(-positive).mean() - negative
    return surrogate + (value - surrogate).detach()


def mutual_information_bound(scores: Tensor, negatives: Tensor, bound: str) -> Tensor:
    """The named bound ("info_nce", "nwj" or "smile") in nats.

    Raises:
        ValueError: for another name.
    """
    bounds = {"info_nce": info_nce_bound, "nwj": nwj_bound, "smile": smile_bound}
    if bound not in bounds:
        raise ValueError(f"bound is {bound!r}; wanted one of {', '.join(bounds)}")
    return bounds[bound](scores, negatives)


def label_bound(logits: Tensor, labels: Tensor, prior: Tensor) -> Tensor:
    """I(c; x) >= H(c) + E[log q(c | x)], the variational bound of InfoGAN (Chen et al., 2016, equation 5).

    Args:
        logits: (batch, labels) of q.
        labels: (batch,).
        prior: (labels,), the probabilities with which the labels are drawn.

    Returns:
        Scalar in nats, at most the prior's entropy.
    """
    entropy = torch.special.entr(prior).sum()
    return entropy - F.cross_entropy(logits, labels)


def gaussian_bound(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """E[log q(t | x)] for a diagonal Gaussian q: I(t; x) less the constant H(t) (Chen et al., 2016, equation 5).

    Args:
        mean: (batch, dim).
        log_variance: (batch, dim) or (dim,).
        target: (batch, dim).

    Returns:
        Scalar in nats: averaged over the batch, summed over the dimensions.
    """
    squared = (target - mean).square() / log_variance.exp()
    return -0.5 * (squared + log_variance + math.log(2 * math.pi)).sum(-1).mean()
