"""Shaking against published tables, exact solutions and ShakeMap's verification cases (data beside the project)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.hazards.earthquake.models import Motion, Setting, model
from validation.case import Row

Array = npt.NDArray[np.float64]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLES = SHARED / "quake_gsim_tables"

FIELDS = {
    "rup_mag": "magnitude", "rup_rake": "rake", "rup_dip": "dip", "rup_ztor": "top_depth", "rup_width": "width",
    "rup_hypo_depth": "hypocentre_depth", "dist_rrup": "rrup", "dist_rjb": "rjb", "dist_rx": "rx", "dist_ry0": "ry0",
    "dist_repi": "repi", "dist_rhypo": "rhypo", "site_vs30": "vs30", "site_vs30measured": "measured", "site_z1pt0": "z1",
    "site_z2pt5": "z2", "site_backarc": "backarc",
}  # fmt: skip
"""Columns of a published table -> entries of a Setting."""


def table_error(path: Path, name: str) -> tuple[float, float]:
    """Largest relative error of the model `name` over all rows and periods of a table, and the number of values."""
    table = pd.read_csv(path, index_col=False)
    table.columns = [c.strip() for c in table.columns]
    setting = Setting(**{FIELDS[c]: table[c].to_numpy(dtype=float) for c in table.columns if c in FIELDS})
    kind = str(table["result_type"].iloc[0])
    worst, count = 0.0, 0
    for column in table.columns[table.columns.get_loc("damping") + 1 :]:
        expected = table[column].to_numpy(dtype=float)
        if np.isnan(expected).all():
            continue
        measure = column.upper() if column.lower() in ("pga", "pgv") else f"SA({float(column)})"
        value = _of_kind(model(name).total(measure, setting), kind)
        worst = max(worst, float(np.max(np.abs(value / expected - 1))))
        count += len(expected)
    return worst, count


def _of_kind(motion: Motion, kind: str) -> Array:
    return {
        "MEAN": np.exp(motion.mean),
        "TOTAL_STDDEV": np.hypot(motion.between, motion.within),
        "INTER_EVENT_STDDEV": motion.between,
        "INTRA_EVENT_STDDEV": motion.within,
    }[kind]


PUBLISHED = (
    ("BSSA2014/BSSA_2014_MEAN", "BooreEtAl2014", 0.02),
    ("BSSA2014/BSSA_2014_HIGHQ_MEAN", "BooreEtAl2014HighQ", 0.02),
    ("BSSA2014/BSSA_2014_LOWQ_MEAN", "BooreEtAl2014LowQ", 0.02),
    ("BSSA2014/BSSA_2014_NOSOF_MEAN", "BooreEtAl2014NoSOF", 0.02),
    ("BSSA2014/BSSA_2014_CALIFORNIA_MEAN", "BooreEtAl2014CaliforniaBasin", 0.02),
    ("BSSA2014/BSSA_2014_TOTAL_STD", "BooreEtAl2014", 0.01),
    ("BSSA2014/BSSA_2014_INTER_STD", "BooreEtAl2014", 0.01),
    ("BSSA2014/BSSA_2014_INTRA_STD", "BooreEtAl2014", 0.01),
    ("CB14/CB2014_MEAN", "CampbellBozorgnia2014", 0.02),
    ("CB14/CB2014_STD_TOTAL", "CampbellBozorgnia2014", 0.01),
    ("CB14/CB2014_STD_INTER", "CampbellBozorgnia2014", 0.01),
    ("CB14/CB2014_STD_INTRA", "CampbellBozorgnia2014", 0.01),
    ("NGA/CY14/CY14_MEDIAN_MS_HW_SS", "ChiouYoungs2014", 0.02),
    ("NGA/CY14/CY14_MEDIAN_MS_HW_NM", "ChiouYoungs2014", 0.02),
    ("NGA/CY14/CY14_MEDIAN_MS_HW_RV", "ChiouYoungs2014", 0.02),
    ("NGA/CY14/CY14_TOTAL_EVENT_SIGMA", "ChiouYoungs2014", 0.01),
    ("NGA/CY14/CY14_INTER_EVENT_SIGMA", "ChiouYoungs2014", 0.01),
    ("NGA/CY14/CY14_INTRA_EVENT_SIGMA", "ChiouYoungs2014", 0.01),
    ("AKKAR14/AKKAR_2014_RJB_MEAN", "AkkarEtAlRjb2014", 0.02),
    ("AKKAR14/AKKAR_2014_RJB_STD_TOTAL", "AkkarEtAlRjb2014", 0.01),
    ("AKKAR14/AKKAR_2014_RJB_STD_INTER", "AkkarEtAlRjb2014", 0.01),
    ("AKKAR14/AKKAR_2014_RJB_STD_INTRA", "AkkarEtAlRjb2014", 0.01),
    ("IDRISS14/IDRISS_2014_MEAN", "Idriss2014", 0.02),
    ("IDRISS14/IDRISS_2014_TOTAL_STD", "Idriss2014", 0.01),
    ("NGA/BA08/BA08_MEDIAN_SS", "BooreAtkinson2008", 0.02),
    ("NGA/BA08/BA08_MEDIAN_NM", "BooreAtkinson2008", 0.02),
    ("NGA/BA08/BA08_MEDIAN_RV", "BooreAtkinson2008", 0.02),
    ("NGA/BA08/BA08_STD_INTER", "BooreAtkinson2008", 0.01),
    ("NGA/BA08/BA08_STD_INTRA", "BooreAtkinson2008", 0.01),
)
"""Tables beside the project, the model by OpenQuake's name, and the tolerance: 2 % of the median, 1 % of the deviation."""


def published_tables() -> Iterator[Row]:
    for file, name, bound in PUBLISHED:
        worst, count = table_error(TABLES / f"{file}.csv.gz", name)
        yield Row(f"{file.split('/')[-1]}, {count} values", "largest relative error", bound, worst)


CASES = (published_tables,)
