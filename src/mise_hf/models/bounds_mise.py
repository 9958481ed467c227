"""Bounds on configurations that come from strangers: checked before a value sizes an allocation.

Travels to the Hub with the models: imports the standard library only.
"""

from collections.abc import Mapping
from typing import Any, get_args

# No honest configuration comes near these; a hostile one must not be able to size an allocation.
MAX_WIDTH = 65_536
MAX_LABELS = 10_000
MAX_LAYERS = 64
# Of what is ours, encoders not counted: 160 MB in float32. The largest sensible head or generator has a tenth.
MAX_PARAMETERS = 40_000_000
# Of an encoder's configuration: the largest that transformers knows have 96 layers, vocabularies of 260 thousand.
MAX_ENCODER_LAYERS = 128
MAX_ENCODER_NUMBER = 2_000_000
MAX_ENCODER_ENTRIES = 4_096
MAX_ENCODER_DEPTH = 4


def check_integer(name: str, value: Any, low: int, high: int) -> None:
    """Raise ValueError unless `value` is an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r:.80}; wanted an integer from {low} to {high}")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise ValueError unless `value` is a number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r:.80}; wanted a number from {low} to {high}")


def check_flag(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r:.80}; wanted True or False")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise ValueError unless `value` is one of the strings of the Literal `choices`."""
    if not isinstance(value, str) or value not in get_args(choices):
        raise ValueError(f"{name} is {value!r:.80}; wanted one of {', '.join(get_args(choices))}")


def check_layers(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is a list of different layer numbers."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_LAYERS:
        raise ValueError(f"{name} is {value!r:.80}; wanted 1 to {MAX_LAYERS} different layer numbers")
    for layer in value:
        check_integer(f"a layer of {name}", layer, 0, 1000)
    if len(set(value)) != len(value):
        raise ValueError(f"{name} is {value!r:.80}; wanted 1 to {MAX_LAYERS} different layer numbers")


def check_label_names(id2label: Any) -> None:
    """Raise ValueError unless `id2label` maps 1 to 10 000 ids to names."""
    if not isinstance(id2label, Mapping) or not 1 <= len(id2label) <= MAX_LABELS:
        raise ValueError(f"id2label is {id2label!r:.80}; wanted a mapping with 1 to {MAX_LABELS} labels")
    for index, label in id2label.items():
        if not str(index).isdecimal() or not isinstance(label, str):
            raise ValueError(f"id2label has the entry {index!r:.40}: {label!r:.40}; wanted a number and a name")


def check_parameters(kind: str, count: int) -> None:
    """Raise ValueError where sizes that are each in their range make a model of more than 40 million numbers."""
    if count > MAX_PARAMETERS:
        raise ValueError(
            f"the sizes of this {kind} make {count:,} parameters beside its encoders; wanted at most "
            f"{MAX_PARAMETERS:,}: lower its hidden, feature or label sizes"
        )


def check_encoder(name: str, value: Any, depth: int = 0) -> None:
    """Raise ValueError for an encoder's configuration with a number, list or depth beyond every known encoder.

    Args:
        name: of the field, for the message.
        value: the mapping as read, before transformers makes a configuration of it (which may itself allocate).
        depth: of this call in the mapping.
    """
    if depth > MAX_ENCODER_DEPTH:
        raise ValueError(f"{name} is nested deeper than {MAX_ENCODER_DEPTH} levels; wanted an encoder's configuration")
    if isinstance(value, Mapping | list | tuple):
        if len(value) > MAX_ENCODER_ENTRIES:
            raise ValueError(f"{name} has {len(value)} entries; wanted at most {MAX_ENCODER_ENTRIES}")
        entries = value.items() if isinstance(value, Mapping) else ((str(i), entry) for i, entry in enumerate(value))
        for key, entry in entries:
            check_encoder(f"{name}.{key!s:.60}", entry, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        field = name.rpartition(".")[2]
        if field in ("num_labels", "label2id"):
            check_integer(name, value, 0, MAX_LABELS)
        elif "layers" in field or field == "n_layer":
            check_integer(name, value, 0, MAX_ENCODER_LAYERS)
        elif field.endswith(("_size", "_dim", "d_model")) and "vocab" not in field:
            check_integer(name, value, 0, MAX_WIDTH)
        else:
            check_integer(name, value, -MAX_ENCODER_NUMBER, MAX_ENCODER_NUMBER)
