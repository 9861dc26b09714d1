"""Depth-damage functions and maximum damages of buildings: share of the value lost, and the value, by sector.

Source of all numbers here: Huizinga, J., de Moel, H., Szewczyk, W. (2017), Global flood depth-damage functions: methodology
and the database with guidelines, EUR 28552 EN, Joint Research Centre, doi:10.2760/16510 (curves for Europe; structure and
contents together; euro of 2010 per m2 of building footprint).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

DEPTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)  # m above the ground outside

SHARES: dict[str, tuple[float, ...]] = {
    "residential": (0.0, 0.25, 0.40, 0.50, 0.60, 0.75, 0.85, 0.95, 1.0),
    "commercial": (0.0, 0.15, 0.30, 0.45, 0.55, 0.75, 0.90, 1.0, 1.0),
    "industrial": (0.0, 0.15, 0.27, 0.40, 0.52, 0.70, 0.85, 1.0, 1.0),
}

SECTORS = tuple(SHARES)

# Which sector's curve a building's use takes. The report counts offices, schools, hospitals, hotels and shops as commerce,
# warehouses and laboratories as industry; farm buildings are put with warehouses, unknown uses with homes: our choice.
SECTOR_OF_USE = {
    "house": "residential", "apartments": "residential", "other": "residential", "commercial": "commercial",
    "public": "commercial", "education": "commercial", "health": "commercial", "industrial": "industrial", "farm": "industrial",
}  # fmt: skip

# Construction cost (EUR of 2010 per m2) = a * (GDP per capita in US$ of 2010) ** b.
COST_A = {"residential": 24.078, "commercial": 33.642, "industrial": 30.824}
COST_B = {"residential": 0.3852, "commercial": 0.3574, "industrial": 0.3249}
DEPRECIATED = 0.6  # depreciated value as a share of the construction cost
UNDAMAGEABLE = 0.4  # share of a concrete or masonry structure that water cannot damage
CONTENTS = {"residential": 0.5, "commercial": 1.0, "industrial": 1.5}  # contents as a multiple of the structure's damage

GDP_EUROPEAN_UNION = 33558.68  # US$ of 2010 per person, European Union, in the report's table


def construction_cost(sector: str, gdp_per_capita: float) -> float:
    """Construction cost in EUR of 2010 per m2 for a `gdp_per_capita` in US$ of 2010."""
    return float(COST_A[sector] * gdp_per_capita ** COST_B[sector])


def maximum_damage(sector: str, gdp_per_capita: float) -> float:
    """Damage of structure and contents together, in EUR of 2010 per m2 of footprint, where all that water can take is lost."""
    structure = construction_cost(sector, gdp_per_capita) * DEPRECIATED * (1.0 - UNDAMAGEABLE)
    return structure * (1.0 + CONTENTS[sector])


def damage_share(sector: str, depth: Values) -> Values:
    """Share of the maximum damage at `depth` (m), between the report's points on a straight line, 1 above the last."""
    return np.asarray(np.interp(depth, DEPTHS, SHARES[sector]), dtype=np.float64)
