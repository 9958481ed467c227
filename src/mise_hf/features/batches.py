"""Batches of clips of similar length, so that little of a batch is padding."""

from collections.abc import Sequence

MAXIMUM_WASTE = 0.08


def bucket(lengths: Sequence[float], budget: float) -> list[list[int]]:
    """Indices of `lengths` in batches: similar lengths together, `budget` the most of one batch with its padding.

    Padding never takes more than 8 % of a batch. The same lengths give the same batches.

    Args:
        lengths: of the clips, in seconds (or tokens).
        budget: clips times the longest of them, in the same unit; a single longer clip is a batch of its own.

    Raises:
        ValueError: for a budget that is not positive.
    """
    if budget <= 0:
        raise ValueError(f"the budget of a batch is {budget}; wanted more than 0")
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    batches: list[list[int]] = []
    total = 0.0
    for index in order:
        longest = lengths[index]
        if batches:
            padded = longest * (len(batches[-1]) + 1)
            if padded <= budget and total + longest >= (1 - MAXIMUM_WASTE) * padded:
                batches[-1].append(index)
                total += longest
                continue
        batches.append([index])
        total = longest
    return batches
