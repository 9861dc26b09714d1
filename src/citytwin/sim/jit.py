"""The compile flags of all kernels, in one place.

`kernel` compiles a scalar or serial function, `parallel` one with `prange`. Division by zero gives inf, as in NumPy; NaN and
signed zeros keep their meaning, sums are not reordered (the same bits on any number of threads is a promise).
Compiled code is cached beside the source. `NUMBA_DISABLE_JIT=1` runs all of it as Python.
"""

from __future__ import annotations

import functools

import numba

kernel = functools.partial(numba.njit, cache=True, error_model="numpy", nogil=True)
parallel = functools.partial(numba.njit, cache=True, error_model="numpy", nogil=True, parallel=True)
