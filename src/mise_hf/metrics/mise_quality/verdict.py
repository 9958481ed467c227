"""The summary in words: which of carries the emotion, diverse, faithful, not memorised. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where each verdict turns; stated in README.md.
CARRIED_SHARE = 0.9
LEAST_VARIANCE, MOST_VARIANCE = 0.5, 2.0
LEAST_RECALL = 0.05
LEAST_PRECISION = 0.5
FRECHET_FACTOR = 2.0


def summary(found: Mapping[str, Any]) -> str:
    """One sentence a verdict, from the keys of `quality`."""
    return " ".join([carries(found), diverse(found), faithful(found), memorised(found)])


def carries(found: Mapping[str, Any]) -> str:
    """Carried information against 90 % of what real rows teach."""
    got, wanted = found["carried"], found["carried_real"]
    figures = f"({got:.2f} nats carried, real rows {wanted:.2f}, H(c) {found['label_entropy']:.2f})"
    if wanted <= 0:
        return f"Cannot tell whether it carries the emotion: real rows do not teach it either {figures}."
    return f"{'Carries' if got >= CARRIED_SHARE * wanted else 'Does NOT carry'} the emotion {figures}."


def diverse(found: Mapping[str, Any]) -> str:
    """Recall above 0 and a within-class variance near the real one."""
    ratio, recall = found["variance_ratio"], found["recall"]
    good = recall >= LEAST_RECALL and LEAST_VARIANCE <= ratio <= MOST_VARIANCE
    return f"{'Diverse' if good else 'NOT diverse'} (recall {recall:.2f}, within-class variance {ratio:.2f} of real)."


def faithful(found: Mapping[str, Any]) -> str:
    """Precision, and the Frechet distance against its real-against-real floor at equal rows."""
    distance, floor, precision = found["frechet"], found["frechet_floor"], found["precision"]
    good = distance <= FRECHET_FACTOR * floor and precision >= LEAST_PRECISION
    figures = f"(Frechet {distance:.3g}, real against real {floor:.3g}, precision {precision:.2f})"
    return f"{'Faithful' if good else 'NOT faithful'} {figures}."


def memorised(found: Mapping[str, Any]) -> str:
    """Rows handed back as they are, else the share of near copies against its null."""
    if found["identical_rows"] > 0:
        return f"COPIED: {found['identical_rows']:.1%} of the synthetic rows are real rows, bit for bit."
    if "memorised" not in found:
        return "Memorisation not checked (needs training rows and withheld rows of the same speakers)."
    share, limit, mirrored = found["memorised"], found["memorised_null_95"], found["memorised_mirrored"]
    figures = f"{share:.1%} near copies, by chance up to {limit:.1%}"
    if share <= limit:
        return f"Not memorised ({figures})."
    if share - mirrored <= found["memorised_excess_95"]:
        return f"Not memorised, but nearer to the middle than speech is ({figures}; of withheld rows {mirrored:.1%})."
    return f"MEMORISED ({figures}; of withheld rows {mirrored:.1%})."
