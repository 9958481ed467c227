"""The regulariser that keeps I((c, t); h_hat) high, from the bounds in `models/loss_mise.py`; nats."""

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


def contrastive_information(scores: Tensor, bound: str) -> Tensor:
    """A critic-based bound on I((c, t); h) over all negatives.

    Rows that happen to have the same condition stay among the negatives: they are draws from the marginal p(c, t) like
    any other, and without them the "bound" passes H(c).

    Args:
        scores: (batch, batch), critic of feature i and condition j.
        bound: "info_nce", "nwj" or "smile".

    Returns:
        Scalar. At most log(batch) for "info_nce".
    """
    return mutual_information_bound(scores, negative_mask(len(scores), scores.device), bound)
