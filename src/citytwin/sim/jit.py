"""The compile flags of all kernels, in one place.

`kernel` compiles a scalar or serial function, `parallel` one with `prange`. Division by zero gives inf, as in NumPy; NaN and
signed zeros keep their meaning, sums are not reordered (the same bits on any number of threads is a promise).
Compiled code is cached beside the source. `NUMBA_DISABLE_JIT=1` runs all of it as Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait sleep: on a busy machine spinning costs far more

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """`function`, compiled to run on one thread."""
    return cast(Function, numba.njit(cache=True, error_model="numpy", nogil=True)(function))


def inlined(function: Function) -> Function:
    """`function`, compiled into its callers: for small parts of a loop that take bundles of arrays."""
    return cast(Function, numba.njit(cache=True, error_model="numpy", nogil=True, forceinline=True)(function))


def lean(function: Function) -> Function:
    """`function`, compiled as by `kernel` but without counting references to arrays: it makes none itself.

    Counting takes a locked instruction for each array handed on, which is most of the time of small functions called often.
    """
    return cast(Function, _counting_nothing()(function))


def lean_part(function: Function) -> Function:
    """`function`, compiled as by `lean` into its callers."""
    return cast(Function, _counting_nothing(forceinline=True)(function))


def _counting_nothing(**more: bool) -> Any:
    return cast(Any, numba.njit)(cache=True, error_model="numpy", nogil=True, _nrt=False, **more)


def parallel(function: Function) -> Function:
    """`function`, compiled to share its `prange` loops among threads."""
    return cast(Function, numba.njit(cache=True, error_model="numpy", nogil=True, parallel=True)(function))


def use_threads(wanted: int) -> None:
    """Let what the calling thread runs next use `wanted` threads, at least one and at most as many as there are."""
    numba.set_num_threads(max(1, min(wanted, numba.config.NUMBA_NUM_THREADS)))  # type: ignore[attr-defined]
