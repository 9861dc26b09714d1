"""Aftershocks on the damaged city: what a building withstands depends on the state that the shocks before left it in.

In each realisation the main shock leaves each building in a state; the aftershock's field of the same realisation meets the
curves of that state. Curves of a damaged building are those of the sound one with medians lowered by `WEAKER`. Those factors
are an estimate in the range of published ones (for example Raghunandan, Liel and Luco 2015, Earthquake Engineering and
Structural Dynamics 44, who find little loss of collapse capacity up to moderate and up to two fifths and more after extensive
damage); a scenario may say others. A building never recovers between shocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.fragility import HIGH, LOW, POINTS
from citytwin.hazards.earthquake.kernel_damage import STATES

WEAKER = (1.0, 0.97, 0.88, 0.70, 0.50, 0.50)
"""Medians of a building in state none ... 5, as a share of those of a sound one."""


def stacked(table: npt.NDArray[np.float32], weaker: Sequence[float] = WEAKER) -> npt.NDArray[np.float32]:
    """Tables for `draw_states`: those of sound buildings, then of buildings in each state, (6 * classes, points, 8)."""
    step = (HIGH - LOW) / (POINTS - 1)
    parts = []
    for state in range(STATES + 1):
        shift = -np.log(weaker[state]) / step
        at = np.minimum(np.arange(POINTS) + shift, POINTS - 1.001)
        left = at.astype(np.int64)
        right = (at - left).astype(np.float32)[None, :, None]
        parts.append(table[:, left] + right * (table[:, left + 1] - table[:, left]))
    return np.ascontiguousarray(np.concatenate(parts))
