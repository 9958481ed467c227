"""The printed summary of a saved generator's quality, as the demo and `mise-hf measure` show it."""

from collections.abc import Sequence
from typing import Any


def quality_lines(quality: dict[str, Any], unheard: Sequence[str]) -> list[str]:
    """Lines on what a generator carries to the unheard speakers, its spread and its memorisation."""
    memory = quality["memorisation"]
    made, real = quality["label_information"], quality["label_information_of_unseen_speakers"]
    return [
        f"The saved generator (speakers {', '.join(unheard)} unheard), in nats:",
        f"  I(c; h)      real rows of unseen speakers {real['value']:.2f} (null {real['null_95']:.2f}, H(c) "
        f"{real['entropy']:.2f}), synthetic rows {made['value']:.2f} (null "
        f"{made['null_95']:.2f}, H(c) {made['entropy']:.2f})",
        f"  carried      to unseen speakers {quality['carried_information']:.2f}; by the real training rows "
        f"{quality['carried_information_of_real_rows']:.2f}: {quality['carried_share']:.0%}; by the untrained start "
        f"(class means, shared covariance) {quality['carried_information_before_training']:.2f}",
        f"  spread       recall {quality['recall']:.2f}, within-class variance "
        f"{quality['within_class_variance_ratio']:.2f} of the real",
        f"  memorisation the same recipe on three quarters of the rows: {memory['share']:.3f} of what it makes lies "
        f"nearer to training rows than withheld ones do (null {memory['null_95']:.3f})",
    ]
