"""The fingerprint of features: which encoders, layers, pooling and sampling rate made them.

    {"audio_encoder": {"id", "revision", "weights_sha256"} | None, "text_encoder": {...} | None,
     "audio_layers": [...], "text_layers": [...], "pooling": "mean+std", "sampling_rate": Hz | None}

It names encoders by their id on the Hub or the name of their folder, never by an absolute path.
"""

from collections.abc import Mapping
from typing import Any

POOLING = "mean+std"
ENCODERS = ("audio_encoder", "text_encoder")
SETTINGS = ("audio_layers", "text_layers", "pooling", "sampling_rate")
# What must agree for audio features to mix, whatever was done about the text; and for text features.
AUDIO_PARTS = tuple(part for part in (*ENCODERS, *SETTINGS) if not part.startswith("text"))
TEXT_PARTS = ("text_encoder", "text_layers", "pooling")


def require_same(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    parts: tuple[str, ...] = (*ENCODERS, *SETTINGS),
    *,
    our_name: str = "ours",
    their_name: str = "theirs",
) -> None:
    """Check that two sets of features were made in the same way. Encoders with equal weights are the same.

    Args:
        ours: a fingerprint.
        theirs: another.
        parts: which entries to compare, all by default; e.g. only those of the audio.
        our_name: what to call `ours` in the message.
        their_name: what to call `theirs`.

    Raises:
        ValueError: naming every part that differs, with both sides.
    """
    unknown = [part for part in parts if part not in (*ENCODERS, *SETTINGS)]
    if unknown:
        raise ValueError(f"unknown parts {unknown}; wanted some of {', '.join((*ENCODERS, *SETTINGS))}")
    different = []
    for part in parts:
        left, right = ours.get(part), theirs.get(part)
        same = _weights(left) == _weights(right) if part in ENCODERS else _plain(left) == _plain(right)
        if not same:
            different.append(f"{part} is {_describe(left)} in {our_name} and {_describe(right)} in {their_name}")
    if different:
        raise ValueError(f"features made in two ways do not mix: {'; '.join(different)}")


def _weights(encoder: Mapping[str, Any] | None) -> str | None:
    return None if encoder is None else encoder.get("weights_sha256")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value.get('id')!r} (weights {str(value.get('weights_sha256'))[:12]})"
    return "missing" if value is None else str(_plain(value))
