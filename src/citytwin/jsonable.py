"""Values made of JSON's own kinds."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import msgspec

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a stranger's bytes as JSON raises: not JSON, not of the type, not UTF-8, or nested too deep to follow."""


def plain(value: Any) -> Any:
    """`value` made of dict, list, text, numbers, booleans and None; NaN and infinity become None, NumPy becomes Python."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        value = value.tolist()
        return plain(value) if isinstance(value, list) else plain_number(value)
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return plain_number(value)


def plain_number(value: Any) -> Any:
    """A single value as JSON has it; what JSON cannot say becomes its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
