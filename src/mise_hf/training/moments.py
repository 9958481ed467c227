"""Means and covariances of rows that come in pieces, so that a space and a generator can start from a stream."""

from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Statistics of labelled rows.

    Attributes:
        counts: float64 (labels,), rows of each label.
        means: float64 (labels, dim), class means.
        within: float64 (dim, dim), covariance within the classes.
        mean: float64 (dim,), of all rows.
        covariance: float64 (dim, dim), of all rows.
    """

    counts: Tensor
    means: Tensor
    within: Tensor
    mean: Tensor
    covariance: Tensor


class SumsOfRows:
    """Sums from which `Moments` follow; in float64."""

    def __init__(self, labels: int, size: int):
        self.counts = torch.zeros(labels, dtype=torch.float64)
        self.sums = torch.zeros(labels, size, dtype=torch.float64)
        self.products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, rows: Tensor, labels: Tensor) -> None:
        """Rows (rows, size) with labels int64 (rows,)."""
        rows = rows.double()
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        self.sums.index_add_(0, labels, rows)
        self.products.addmm_(rows.t(), rows)

    def moments(self, accelerator: Accelerator) -> Moments:
        """Of the rows of all processes.

        Raises:
            ValueError: for a class without a row.
        """
        for value in (self.counts, self.sums, self.products) if accelerator.num_processes > 1 else ():
            there = value.to(accelerator.device)
            torch.distributed.all_reduce(there)
            value.copy_(there)
        if bool((self.counts == 0).any()):
            raise ValueError(
                f"classes {(self.counts == 0).nonzero().flatten().tolist()} have no training row; wanted at least one "
                "each"
            )
        share = (self.counts / self.counts.sum())[:, None]
        means = self.sums / self.counts[:, None]
        mean = (share * means).sum(0)
        second = self.products / self.counts.sum()
        return Moments(
            self.counts, means, second - means.t() @ (share * means), mean, second - mean[:, None] * mean[None, :]
        )
