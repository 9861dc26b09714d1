"""Forecasts: what series of counts will do, from what is known now; and how good such forecasts were."""

from citytwin.forecast.quantiles import LEVELS, averaged, covered, interval_score, weighted_interval_score
from citytwin.forecast.series import Forecaster, forecasts
from citytwin.forecast.vintages import Vintages, read_vintages

__all__ = [
    "LEVELS", "Forecaster", "Vintages", "averaged", "covered", "forecasts", "interval_score", "read_vintages",
    "weighted_interval_score",
]  # fmt: skip
