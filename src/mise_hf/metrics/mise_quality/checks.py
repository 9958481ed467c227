"""Turns what a caller hands in into arrays, or says what is wrong with it. Imports numpy only; knows no estimator."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

MIN_ROWS = 20
UNEQUAL = "{name} holds rows of unequal lengths or objects; give a numeric matrix (rows, columns)"
# Fourth powers of larger values overflow.
LARGEST = 1e60
# Whole numbers beyond this are not told apart as floats.
LARGEST_LABEL = 2.0**53


def to_numpy(name: str, values: Any) -> np.ndarray:
    """Array behind a list, array or torch tensor on any device (a tensor is detached and copied to the CPU).

    Raises:
        ValueError: a masked array, a tensor that has no dense array, or rows of unequal lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(f"{name} has masked values; drop these rows")
        values = values.data
    if isinstance(values, list | tuple) and len(values) and hasattr(values[0], "detach"):
        values = [to_numpy(name, value) for value in values]
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu()
            if str(values.dtype) == "torch.bfloat16":
                values = values.float()
            values = values.numpy()
    except (NotImplementedError, RuntimeError, TypeError) as error:
        raise ValueError(f"{name} cannot be read as an array ({error}); give a dense tensor or array") from error
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(UNEQUAL.format(name=name)) from error


def as_matrix(name: str, values: Any, min_rows: int = MIN_ROWS) -> np.ndarray:
    """Contiguous float matrix (rows, columns); float16 and float32 become float32, everything else float64.

    Raises:
        ValueError: not one or two dimensions, ragged, not numeric, NaN or infinite values, or too few rows.
    """
    array = to_numpy(name, values)
    if array.dtype == object and array.size and all(isinstance(value, Real) for value in array.flat):
        # What pandas makes of its own kinds of number.
        array = array.astype(np.float64)
    if array.dtype == object:
        raise ValueError(UNEQUAL.format(name=name))
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; give numbers, one row per sample (rows, columns)")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; give a matrix (rows, columns), e.g. by reshape(len(x), -1)")
    if len(array) < min_rows:
        raise ValueError(f"{name} has {len(array)} rows; at least {min_rows} are needed")
    if array.shape[1] == 0:
        raise ValueError(f"{name} has no columns; give at least one feature")
    target = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    array = np.ascontiguousarray(array, dtype=target)
    # One sum per row finds every NaN and infinity without a boolean copy of a large matrix.
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(array.sum(axis=1, dtype=np.float64))
    huge = target is np.float64 and max(array.max(initial=0), -array.min(initial=0)) > LARGEST
    if huge and np.isfinite(array).all():
        raise ValueError(f"{name} holds values beyond {LARGEST:g}, whose powers overflow; divide its columns first")
    if bad.any():
        rows = np.flatnonzero(bad)
        raise ValueError(
            f"{name} holds NaN or infinite values in {len(rows)} of {len(array)} rows (first row {rows[0]}); "
            "drop or repair these rows"
        )
    return array


def as_codes(name: str, values: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes (rows,) in 0..K-1 and the K distinct values, in order of their codes.

    Raises:
        ValueError: wrong length or dimension, a missing value, or a float that is no whole number.
    """
    mixed = isinstance(values, list | tuple) and any(isinstance(value, str) for value in values)
    # As text, a NaN among names would be a name.
    array = np.array(values, dtype=object) if mixed else to_numpy(name, values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; give one value per row, shape ({rows},)")
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} values for {rows} rows; give one value per row")
    if array.dtype == object:
        missing = [i for i, value in enumerate(array) if is_missing(value)]
        if missing:
            raise ValueError(f"{name} is missing in {len(missing)} rows (first row {missing[0]}); drop these rows")
        array = np.array([str(v) for v in array])
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            odd = ~(np.abs(array) < LARGEST_LABEL) | (array != np.round(array))
        if odd.any():
            wrong = array[odd][0]
            raise ValueError(f"{name} holds {wrong!r}; labels are names or whole numbers, not measurements")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iubUS":
        raise ValueError(f"{name} has dtype {array.dtype}; give names or whole numbers")
    names, codes = np.unique(array, return_inverse=True)
    return codes.reshape(-1), names


def is_missing(value: Any) -> bool:
    """Whether `value` is None, NaN or what pandas has in their place, which is neither equal to itself nor unequal."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def check_rows(**arrays: np.ndarray) -> None:
    """Raises ValueError unless all the named arrays have the same number of rows."""
    lengths = {name: len(a) for name, a in arrays.items()}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"unequal numbers of rows: {listing}; row i of each must belong to the same sample")


def check_columns(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raises ValueError unless both matrices have the same number of columns."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{first} has {a.shape[1]} columns, {second} has {b.shape[1]}; both must live in the same feature space"
        )


def check_classes(name: str, codes: np.ndarray, names: np.ndarray, groups: np.ndarray | None = None) -> None:
    """Raises ValueError for one class only, a class with one row, or a class that only one group has."""
    counts = np.bincount(codes, minlength=len(names))
    if len(names) < 2:
        raise ValueError(f"{name} holds one class only ({names[0]!r}); information needs at least two")
    if counts.min() < 2:
        lone = names[counts.argmin()]
        raise ValueError(f"{name}: class {lone!r} has {counts.min()} row; give it at least two, merge it or drop it")
    if groups is not None:
        if len(np.unique(groups)) < 2:
            raise ValueError("groups holds one group only; give at least two, or groups=None")
        for code, label in enumerate(names):
            if len(np.unique(groups[codes == code])) < 2:
                raise ValueError(
                    f"class {label!r} occurs in one group only, so it cannot be learnt from the others; "
                    "drop the class or use groups=None"
                )


def check_option(name: str, value: Any, allowed: tuple) -> None:
    """Raises ValueError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}; allowed are {', '.join(repr(a) for a in allowed)}")


def check_count(name: str, value: Any, minimum: int) -> int:
    """`value` as an int; raises ValueError unless it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{name}={value!r}; give a whole number of at least {minimum}")
    return int(value)
