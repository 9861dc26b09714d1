"""Rows of eight or sixteen single numbers taken at once: the two steps of the damage kernel that a compiler leaves in pieces.

Compiled, each is a few vector instructions; uncompiled, plain NumPy with the same operations in the same order: the same bits.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj

Single = npt.NDArray[np.float32]
Whole = int | np.signedinteger[Any]

WIDTH = 8
"""Of a table row: five curves, padded."""
FOLLOWS = 16
"""Quantities that may follow from a state: padded to a cache line."""


def add_row(target: Single, t: Whole, source: Single, s: Whole, times: Single) -> None:
    """Add row s of `source` times `times` to row t of `target`: float32[rows, 16] and [16], contiguous. No index is checked."""
    target[t] += source[s] * times


def state_of(curves: Single, left: Whole, right: np.float32, chance: np.float32, sums: Single, lane: Whole) -> int:
    """How many curves lie above `chance` at a place of a table float32[points, 8], contiguous: the state drawn.

    left, right: the table row before the place and how far beyond it, in rows. The curves' values there are added to row
    `lane` of `sums`, float32[rows, 8]. No index is checked.
    """
    row = curves[left] + right * (curves[left + 1] - curves[left])
    sums[lane] += row
    return int(np.count_nonzero(chance < row))


def _row(context: Any, builder: Any, kind: Any, array: Any, at: Any, lanes: int) -> Any:
    """Pointer to a row of an array as one vector."""
    data = arrayobj.make_array(kind)(context, builder, array).data  # type: ignore[no-untyped-call]
    place = builder.gep(data, [builder.mul(at, ir.Constant(at.type, lanes))])
    return builder.bitcast(place, ir.VectorType(ir.FloatType(), lanes).as_pointer())


def _all(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one number."""
    vector = ir.Constant(ir.VectorType(ir.FloatType(), lanes), ir.Undefined)
    for lane in range(lanes):
        vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
    return vector


def _add_row(_: Any, target: Any, t: Any, source: Any, s: Any, times: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        into = _row(context, builder, target, args[0], args[1], FOLLOWS)
        rates = builder.load(_row(context, builder, source, args[2], args[3], FOLLOWS), align=4)
        factor = builder.load(_row(context, builder, times, args[4], ir.Constant(ir.IntType(64), 0), FOLLOWS), align=4)
        builder.store(builder.fadd(builder.load(into, align=4), builder.fmul(rates, factor)), into, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, times), generate


def _state_of(_: Any, curves: Any, left: Any, right: Any, chance: Any, sums: Any, lane: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        table, at, share, drawn, total, row = args
        following = builder.add(at, ir.Constant(at.type, 1))
        before, after = (builder.load(_row(context, builder, curves, table, k, WIDTH), align=4) for k in (at, following))
        here = builder.fadd(before, builder.fmul(_all(builder, share, WIDTH), builder.fsub(after, before)))
        into = _row(context, builder, sums, total, row, WIDTH)
        builder.store(builder.fadd(builder.load(into, align=4), here), into, align=4)
        above = builder.fcmp_ordered("<", _all(builder, drawn, WIDTH), here)
        return builder.zext(builder.ctpop(builder.bitcast(above, ir.IntType(WIDTH))), ir.IntType(64))

    return types.intp(curves, types.intp, types.float32, types.float32, sums, types.intp), generate


if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    add_row = intrinsic(_add_row)  # type: ignore[assignment]
    state_of = intrinsic(_state_of)  # type: ignore[assignment]
