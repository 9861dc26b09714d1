"""A flood that is computed opens alerts where its water would stand: from a scenario to a rule, through the run folder."""

from __future__ import annotations

import numpy as np
import pytest
from rule_city import HandView

from citytwin.city import City
from citytwin.city.graph import Graph
from citytwin.city.synthetic import synthesize
from citytwin.incidents.rules import Engine, rules_of
from citytwin.scenario import parse, play
from citytwin.server.alertnews import RunForecast
from citytwin.server.places import Places
from citytwin.server.results import Results
from citytwin.state import State


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, RunForecast]:
    """A made village after a cloudburst of ten minutes, as a forecast."""
    folder = tmp_path_factory.mktemp("forecast")
    city = synthesize(people=300, devices=6, seed=1)
    said = {"name": "forecast 14:00", "duration": "10 min", "every": "1 min",
            "hazards": [{"flood": {"rain": {"intensity": "150 mm/h", "duration": "10 min"}}}]}  # fmt: skip
    play(parse(said), city, folder / "run")
    return city, RunForecast("forecast 14:00", folder / "run", Results(city, Places(city), folder / "cache"))


class Forecasting(HandView):
    """A view with one forecast."""

    def __init__(self, city: City, forecast: RunForecast) -> None:
        super().__init__(city)
        self.newest = forecast

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> np.ndarray | None:
        return self.newest.values(table, column, within, high)


def test_a_building_gets_the_highest_water_of_the_cells_it_touches(flooded: tuple[City, RunForecast]) -> None:
    city, forecast = flooded
    peak = forecast.values("cell", "water_depth", None, True)
    assert peak is not None
    state = State(city, Forecasting(city, forecast).columns)
    state["water_depth"] = peak
    expected = Graph.of(city).values("building", "water_depth", state)
    np.testing.assert_allclose(forecast.values("building", "water_depth", None, True), expected, equal_nan=True)
    assert np.nanmax(expected) > 0.05


def test_within_a_time_the_water_is_no_higher_than_over_all_of_it(flooded: tuple[City, RunForecast]) -> None:
    _, forecast = flooded
    early, late = (forecast.values("cell", "water_depth", seconds, True) for seconds in (120.0, 600.0))
    assert early is not None
    assert late is not None
    assert (early <= late + 1e-6).all()
    assert early.max() < late.max()


def test_what_a_run_did_not_compute_is_not_known(flooded: tuple[City, RunForecast]) -> None:
    _, forecast = flooded
    assert forecast.values("building", "no_such_column", None, True) is None
    assert forecast.values("road", "river_level", None, True) is None


def test_a_rule_finds_exactly_the_buildings_that_would_stand_in_water(flooded: tuple[City, RunForecast]) -> None:
    city, forecast = flooded
    when = {"column": "water_depth", "forecast": "peak", "run": "forecast*", "above": "5 cm"}
    engine = Engine(Forecasting(city, forecast), rules_of({"rule": {"wet": {"on": {"table": "building"}, "when": when}}}))
    engine.step(0.0)
    values = forecast.values("building", "water_depth", None, True)
    assert values is not None
    found = np.flatnonzero(engine.watched["wet"].level)
    assert found.tolist() == np.flatnonzero(values > 0.05).tolist()
    assert 0 < len(found) < city.size("building")
