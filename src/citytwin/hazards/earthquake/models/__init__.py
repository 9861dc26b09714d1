"""Ground-motion models by name. `model("BSSA14")` is also `model("BooreEtAl2014")`, as OpenQuake spells it."""

from citytwin.hazards.earthquake.models.model import Model
from citytwin.hazards.earthquake.models.registry import MODELS, model
from citytwin.hazards.earthquake.models.setting import Motion, Setting
from citytwin.hazards.earthquake.models.table import measure_name, period

__all__ = ["MODELS", "Model", "Motion", "Setting", "measure_name", "model", "period"]
