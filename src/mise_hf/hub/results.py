"""The one place that knows the keys of a run's `results.json`. Imports the standard library only.

Needed, each with what it holds:

    corpora             [{"name", "licence", "utterances", "speakers"}]
    uar                 {method: {"mean", "std", "folds", "seeds"}}
    mutual_information  {"real" | "synthetic": {"value", "null_95"}}      I(c; h) in nats
    carried_information {"real" | "synthetic": nats}
    memorisation        {"share", "null_95", "mirrored", "excess_null_95"}  a generator's; the last two may be missing
    fingerprint         how the features were made
    training            the training configuration
    uar_note            in words, what `uar` was measured on (e.g. "30 % of the training clips"); may be absent
    published_method    which key of `uar` is the recogniser that was saved; may be absent

`speakers` may be a number or the list of the speakers, of which only the number is published. A file may lack
`memorisation` (nobody measured it) and whatever does not concern the model at hand; a card then says "not measured".
What is there must be whole.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "results.json"
# What runs of earlier versions did not measure.
MIRRORED = ("mirrored", "excess_null_95")


@dataclass(frozen=True)
class Results:
    """What a run measured, as cards and checks need it.

    Attributes:
        corpora: name, licence, utterances and speakers of each training corpus.
        uar: unweighted average recall (0 to 1) by method: mean and std over `folds` * `seeds` values.
        mutual_information: I(c; h) in nats with its 95 % permutation null, for "real" and "synthetic" rows.
        carried_information: nats, for "real" and "synthetic" rows.
        memorisation: share of the generator's rows nearer to a training row than withheld rows are, and its null.
        fingerprint: how the features were made.
        training: the training configuration.
        uar_note: in words, what `uar` was measured on.
        published_method: which key of `uar` is the recogniser that was saved; "" where nobody says.
    """

    corpora: tuple[dict[str, Any], ...]
    uar: dict[str, dict[str, float]] = field(default_factory=dict)
    mutual_information: dict[str, dict[str, float]] = field(default_factory=dict)
    carried_information: dict[str, float] = field(default_factory=dict)
    memorisation: dict[str, float] | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    uar_note: str = ""
    published_method: str = ""

    @property
    def memorises(self) -> bool | None:
        """Whether near copies are more than chance, and than among withheld rows; None where nobody measured it."""
        if self.memorisation is None:
            return None
        found = self.memorisation
        excess = found["share"] - found.get("mirrored", -math.inf)
        return found["share"] > found["null_95"] and excess > found.get("excess_null_95", 0.0)


def find_results(folder: Path) -> Path | None:
    """`results.json` of a model folder or of the run it lies in."""
    return next((path for path in (folder / FILE, folder.parent / FILE) if path.is_file()), None)


def read_results(path: Path) -> Results:
    """The results of a run.

    Raises:
        ValueError: for a file that is no JSON, or an entry that is not as the head of this module says.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is no JSON ({error}); wanted the file that the run wrote") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path.name} holds a {type(raw).__name__}; wanted a mapping")
    memorisation = raw.get("memorisation")
    return Results(
        corpora=read_corpora(path, raw.get("corpora")),
        uar={
            method: _numbers(path, f"uar.{method}", entry, ("mean", "std", "folds", "seeds"))
            for method, entry in _mapping(path, raw, "uar").items()
        },
        mutual_information={
            rows: _numbers(path, f"mutual_information.{rows}", entry, ("value", "null_95"))
            for rows, entry in _mapping(path, raw, "mutual_information").items()
        },
        carried_information=_numbers(path, "carried_information", _mapping(path, raw, "carried_information"), ()),
        memorisation=None
        if memorisation is None
        else _numbers(path, "memorisation", memorisation, ("share", "null_95"), MIRRORED),
        fingerprint=_mapping(path, raw, "fingerprint"),
        training=_mapping(path, raw, "training"),
        uar_note=str(raw.get("uar_note") or ""),
        published_method=_method(path, raw),
    )


def _method(path: Path, raw: Mapping[str, Any]) -> str:
    named, methods = str(raw.get("published_method") or ""), list(raw.get("uar") or {})
    if named and named not in methods:
        raise ValueError(f"{path.name} has published_method {named!r}; wanted one of the methods of uar: {methods}")
    return named or (methods[0] if len(methods) == 1 else "")


def read_corpora(path: Path, corpora: Any) -> tuple[dict[str, Any], ...]:
    """The corpora of `results.json` or of a generator's configuration.

    Raises:
        ValueError: for no corpus, or one without name, licence, utterances or speakers.
    """
    if not isinstance(corpora, list) or not corpora:
        raise ValueError(f"{path.name} has corpora {corpora!r:.80}; wanted a list with one entry for each corpus")
    return tuple(_corpus(path, entry) for entry in corpora)


def _mapping(path: Path, raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} has {key} {value!r:.80}; wanted a mapping")
    return value


def _corpus(path: Path, entry: Any) -> dict[str, Any]:
    wanted = ("name", "licence", "utterances", "speakers")
    if not isinstance(entry, dict) or any(entry.get(key) in (None, "") for key in wanted):
        raise ValueError(f"{path.name} has the corpus {entry!r:.200}; wanted a mapping with {', '.join(wanted)}")
    speakers = entry["speakers"]
    return {**entry, "speakers": len(speakers) if isinstance(speakers, list) else speakers}


def _numbers(
    path: Path, name: str, entry: Any, needed: tuple[str, ...], known: tuple[str, ...] = ()
) -> dict[str, float]:
    if not isinstance(entry, dict) or any(key not in entry for key in needed):
        raise ValueError(f"{path.name} has {name} {entry!r:.120}; wanted a mapping with {', '.join(needed)}")
    numbers = {key: entry[key] for key in needed or entry} | {key: entry[key] for key in known if key in entry}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{path.name} has {name}.{key} {value!r:.40}; wanted a finite number")
    return numbers
