"""How values meet a `Condition` of a query: numbers, texts, and patterns of texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city.query import Condition
from citytwin.errors import InputError

Marks = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def with_codes(codes: npt.NDArray[np.int64], wanted: list[int], known: int) -> Marks:
    """Which rows have one of the `wanted` codes."""
    marks = np.zeros(known + 1, dtype=np.bool_)  # the last place is that of -1, the unknown
    marks[wanted] = True
    return marks[codes]


def numbers_that(values: Values, condition: Condition, name: str) -> Marks:
    """Which numbers meet a condition; NaN meets none but `known`."""
    value, test = condition.value, condition.test
    if test == "known":
        known: Marks = np.isnan(values) != bool(value)
        return known
    asked = value if isinstance(value, list) else [value]
    if test == "like" or any(isinstance(v, str) for v in asked):
        raise InputError(f'"{name}" is a number', "where", "compare it with a number")
    if test == "in":
        return np.isin(values, np.array(asked, dtype=np.float64)) & ~np.isnan(values)
    marks: Marks = COMPARE[test](values, float(asked[0])) & ~np.isnan(values)
    return marks


def texts_that(known: dict[str, int], condition: Condition, name: str) -> list[int]:
    """Codes of the known texts that meet a condition; texts are ordered by their characters."""
    value, test = condition.value, condition.test
    if test == "known":
        return list(known.values()) if value else [-1]
    asked = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str) for v in asked):
        raise InputError(f'"{name}" is text', "where", "compare it with text")
    if test in ("=", "in"):
        return [known[str(v)] for v in asked if v in known]
    if test == "like":
        like = pattern(str(value))
        return [code for text, code in known.items() if like.fullmatch(text)]
    holds = {"!=": str.__ne__, "<": str.__lt__, "<=": str.__le__, ">": str.__gt__, ">=": str.__ge__}[test]
    return [code for text, code in known.items() if holds(text, str(value))]


def pattern(like: str) -> re.Pattern[str]:
    """`like` (`%` anything, `_` one character) as an expression that never goes back over what it has passed."""
    first, *rest = ("".join("." if c == "_" else re.escape(c) for c in part) for part in like.split("%"))
    if not rest:
        return re.compile(first, re.DOTALL | re.IGNORECASE)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL | re.IGNORECASE)
