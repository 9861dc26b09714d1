"""The six flood hazard classes H1 ... H6 by depth, speed and their product.

Source: Australian Institute for Disaster Resilience (2017), Guideline 7-3 Flood Hazard, combined hazard curves after Smith,
Davey and Cox (2014), Flood hazard, UNSW Water Research Laboratory, Technical Report 2014/07.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Upper limits of H1 ... H5; what exceeds those of H5 is H6.
PRODUCT = np.array([0.3, 0.6, 0.6, 1.0, 4.0])  # depth times speed, m2/s
DEPTH = np.array([0.3, 0.5, 1.2, 2.0, 4.0])  # still water, m
SPEED = np.array([2.0, 2.0, 2.0, 2.0, 4.0])  # m/s

CLASSES = ("dry", "H1", "H2", "H3", "H4", "H5", "H6")
MEANING = (
    "0 dry; H1 generally safe for people, vehicles and buildings; H2 unsafe for small vehicles; H3 unsafe for vehicles, "
    "children and the elderly; H4 unsafe for people and vehicles; H5 also buildings vulnerable to damage, weak ones to "
    "failure; H6 all buildings vulnerable to failure"
)


def hazard_class(depth: Values, speed: Values, product: Values) -> Values:
    """The class 1 ... 6 of water with `depth` (m), `speed` (m/s) and `product` of the two (m2/s), element by element."""
    exceeded = np.maximum(np.searchsorted(DEPTH, depth, side="left"), np.searchsorted(PRODUCT, product, side="left"))
    return np.asarray(np.maximum(exceeded, np.searchsorted(SPEED, speed, side="left")) + 1.0, dtype=np.float64)
