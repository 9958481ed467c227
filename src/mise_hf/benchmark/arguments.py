"""Arguments of `mise-hf benchmark`: a YAML file gives them, flags override it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from mise_hf.benchmark.modality import Modality
from mise_hf.benchmark.standardise import Standardise

# What --quick takes where neither flag nor file says otherwise.
QUICK: dict[str, Any] = {"fractions": "0.3", "seeds": 1, "steps": 40}


@dataclass(frozen=True)
class BenchmarkArguments:
    """What `mise-hf benchmark` takes; names and defaults of its flags (`only_pretrained` is --only-pretrained).

    Raises:
        ValueError: for a value of another type, or that cannot be.
    """

    features: str
    out: str
    fractions: str = "0.1,0.3,1"
    seeds: int = 5
    folds: Literal["speaker", "session", "official"] = "speaker"
    modality: Modality = "audio"
    standardise: Standardise = "none"
    method: list[str] = field(default_factory=list)
    pretrained: list[str] = field(default_factory=list)
    only_pretrained: bool = False
    unlabelled: bool = False
    lines: str | None = None
    minority: list[str] = field(default_factory=list)
    minority_share: float = 0.1
    steps: int = 500
    licence: str = "unstated"
    workers: int | None = None
    quick: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            _check(name, getattr(self, name), kind)
        for name in ("seeds", "steps", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wanted 1 or more")
        if not 0 < self.minority_share <= 1:
            raise ValueError(f"minority_share is {self.minority_share}; wanted more than 0, up to 1")
        if self.only_pretrained and not self.pretrained:
            raise ValueError("--only-pretrained is given without --pretrained; wanted at least one generator")
        if self.lines and self.modality != "both":
            raise ValueError(f"--lines is given with --modality {self.modality}; wanted both")
        if self.quick and (self.unlabelled or self.lines):
            raise ValueError("--quick is given with --unlabelled or --lines; wanted it alone")
        if self.quick and self.pretrained:
            raise ValueError("--quick is given with --pretrained; wanted one of them: it checks the in-corpus methods")

    @property
    def shares(self) -> tuple[float, ...]:
        """`fractions` as numbers.

        Raises:
            ValueError: for anything but numbers more than 0, up to 1.
        """
        return parse_shares(self.fractions)


def parse_shares(text: str) -> tuple[float, ...]:
    """`0.1,0.3,1` as numbers.

    Raises:
        ValueError: for anything but numbers more than 0, up to 1.
    """
    try:
        shares = tuple(dict.fromkeys(float(word) for word in text.split(",")))
    except ValueError as error:
        raise ValueError(f"--fractions is {text!r}; wanted numbers by comma, e.g. 0.1,0.3,1") from error
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"--fractions is {text!r}; wanted numbers more than 0, up to 1")
    return shares


def merge_arguments(config: Path | None, flags: Mapping[str, Any]) -> BenchmarkArguments:
    """The file's values with the flags' over them.

    Args:
        config: YAML file, or None.
        flags: those that were given, by field.

    Raises:
        ValueError: for a file that cannot be read, an unknown key, or a value of another type.
    """
    known = [entry.name for entry in fields(BenchmarkArguments)]
    values = {} if config is None else _read(config, known)
    values |= flags
    if values.get("quick") is True:
        values = QUICK | values
    absent = [name for name in ("features", "out") if name not in values]
    if absent:
        raise ValueError(f"{' and '.join(absent)} missing; wanted FEATURES and --out, as flags or in --config")
    return BenchmarkArguments(**values)


def _read(config: Path, known: list[str]) -> dict[str, Any]:
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{config} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{config} holds a {type(values).__name__}; wanted keys and values")
    named = {str(key).replace("-", "_"): value for key, value in values.items()}
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise ValueError(f"{config.name} has the unknown keys {unknown}; wanted some of {known}")
    shares = named.get("fractions")
    if isinstance(shares, list | int | float) and not isinstance(shares, bool):
        shares = shares if isinstance(shares, list) else [shares]
        named["fractions"] = ",".join(map(str, shares))
    return named


def _check(name: str, value: Any, kind: Any) -> None:
    """Raise ValueError where the value is not of the kind: a Literal, a list of strings, or a plain type."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name} is {value!r}; wanted one of {', '.join(get_args(kind))}")
        return
    if get_origin(kind) is list:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValueError(f"{name} is {value!r}; wanted a list of names")
        return
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name} is {value!r}; wanted {kinds[0].__name__}")


def fields_given(namespace: Any) -> dict[str, Any]:
    """The flags that were given, of a namespace whose defaults are suppressed."""
    known = {entry.name for entry in fields(BenchmarkArguments)}
    return {name: value for name, value in vars(namespace).items() if name in known}
