"""Playing scenarios: what a run leaves behind, and that same seed means same result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pydantic import Field

from citytwin.city import City, Facts, Ground, read_city, write_city
from citytwin.columns import Column
from citytwin.errors import ConflictError, InputError, SimulationError
from citytwin.scenario import compare, parse, play, read_result, run
from citytwin.scenario.study import courses
from citytwin.sim import Grade, InterventionKind, Parameters, Setup, Spec, Status, registry
from citytwin.state import State
from citytwin.units import Quantity

CRS = "EPSG:32631"


class PuddleParams(Parameters):
    rain: Annotated[float, Quantity("m/s"), Field(ge=0)] = 0.0


class MopParams(Parameters):
    share: float = Field(1.0, ge=0, le=1)


class Puddle:
    """A toy hazard: rain stays where it falls, with a little noise."""

    spec: ClassVar[Spec] = Spec(
        name="puddle", room="hazard", title="Puddle", params=PuddleParams, reads=(),
        writes=(Column("puddle_depth", "cell", "m", "Depth of a puddle", 0, 10, 0.0, ramp="depth", steps=(0.01, 0.1)),
                Column("puddle_at_house", "building", "m", "Depth at a building", 0, 10, 0.0)),
        needs=("cell", "building"), grade=Grade.SKETCH, source="none", limits="A toy.",
        interventions=(InterventionKind("mop", "Mop up", MopParams),),
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.setup = setup
        self.rng = setup.streams.named("puddle")

    def advance(self, state: State, begin: float, end: float) -> Status:
        if self.setup.params.rain > 1.0:
            return Status(False, "too much rain", "less than 1 m/s")
        depth = state.edit("puddle_depth")
        depth += self.setup.params.rain * (end - begin) * self.rng.uniform(0.9, 1.1)
        for planned in self.setup.interventions:
            if begin <= planned.at < end:
                depth *= 1 - planned.params.share
        state.edit("puddle_at_house")[0] = depth[0]
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        return {"volume": float(state["puddle_depth"].sum()), "impact": {"loss": float(state["puddle_at_house"].sum())}}


@pytest.fixture
def puddle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "puddle"

        def load(self) -> type[Puddle]:
            return Puddle

    monkeypatch.setattr(registry, "_entries", lambda: {"puddle": Entry()})
    registry.simulator.cache_clear()
    registry.intervention.cache_clear()
    yield
    registry.simulator.cache_clear()
    registry.intervention.cache_clear()


@pytest.fixture
def city() -> City:
    boxes = shapely.box(np.array([0, 20]) + 500000.0, 4700000.0, np.array([10, 30]) + 500000.0, 4700010.0)
    building = gpd.GeoDataFrame({"key": ["a", "b"]}, geometry=list(boxes), crs=CRS)
    ground = Ground(500000, 4700050, 10, {"elevation": np.zeros((5, 6), np.float32)})
    return City(Facts("Toytown", CRS), {"building": building}, ground)


SAID = {"name": "drizzle", "start": "2026-11-21T18:00:00Z", "duration": "30 min", "every": "10 min", "seed": 3,
        "hazards": [{"puddle": {"rain": "36 mm/h"}}]}  # fmt: skip


@pytest.mark.usefixtures("puddle")
def test_a_run_leaves_a_folder_that_says_everything(city: City, tmp_path: Path) -> None:
    result = play(parse(SAID), city, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "building.parquet",
        "fields.nc",
        "result.json",
        "scenario.yaml",
    ]
    document = json.loads((tmp_path / "run" / "result.json").read_text())
    assert document["scenario"] == "drizzle"
    assert document["start"] == "2026-11-21T18:00:00Z"
    assert document["seed"] == 3
    assert document["grade"] == {"puddle": "sketch"}
    assert document["impact"]["people_killed"] is None
    assert document["provenance"]["parameters"]["puddle"]["rain"] == pytest.approx(1e-5)
    table = result.table("building")
    assert list(table["key"]) == ["a"]
    with result.fields as fields:
        assert fields["puddle_depth"].shape == (4, 5, 6)
        assert fields["puddle_depth"].attrs["units"] == "m"
        assert float(fields["puddle_depth"][3, 0, 0]) == pytest.approx(float(table["puddle_at_house"][0]), abs=1e-4)
        assert fields["time"].attrs["standard_name"] == "time"


@pytest.mark.usefixtures("puddle")
def test_the_same_seed_gives_the_same_result(city: City, tmp_path: Path) -> None:
    first, second = (play(parse(SAID), city, tmp_path / name) for name in "ab")
    other = play(parse({**SAID, "seed": 4}), city, tmp_path / "c")
    assert first.impact == second.impact
    assert first.impact != other.impact


@pytest.mark.usefixtures("puddle")
def test_a_run_does_not_disturb_the_state_it_starts_from(city: City, tmp_path: Path) -> None:
    state = State(city, time=1e9)
    state.declare(*Puddle.spec.writes)
    state["puddle_depth"] = 0.5
    result = play(parse({**SAID, "start": "now"}), city, tmp_path / "run", state)
    assert (state["puddle_depth"] == 0.5).all()
    assert state.time == 1e9
    assert result.document["start"].startswith("2001-09-09")
    assert result.impact["loss"] > 0.5


@pytest.mark.usefixtures("puddle")
def test_an_intervention_changes_the_outcome_and_compare_shows_by_how_much(city: City, tmp_path: Path) -> None:
    plain = play(parse(SAID), city, tmp_path / "plain")
    mopped = play(parse({**SAID, "interventions": [{"at": "25 min", "mop": {}}]}), city, tmp_path / "mopped")
    table = compare([plain, mopped])
    (row,) = [r for r in table["rows"] if r["name"] == "loss"]
    assert table["same_city"]
    assert row["values"][1] == 0
    assert row["differences"] == [0, -plain.impact["loss"]]


@pytest.mark.usefixtures("puddle")
def test_a_failed_or_stopped_simulation_leaves_no_folder(city: City, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="too much rain"):
        play(parse({**SAID, "hazards": [{"puddle": {"rain": "2 m/s"}}]}), city, tmp_path / "run")
    with pytest.raises(SimulationError, match="stopped"):
        play(parse(SAID), city, tmp_path / "run", stop=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("puddle")
def test_an_existing_folder_is_not_overwritten(city: City, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    with pytest.raises(ConflictError, match="exists"):
        play(parse(SAID), city, tmp_path / "run")
    assert (tmp_path / "run" / "precious").exists()


@pytest.mark.usefixtures("puddle")
def test_a_scenario_whose_city_lacks_a_table_is_refused(city: City, tmp_path: Path) -> None:
    bare = City(Facts("Bare", CRS), {}, city.ground)
    with pytest.raises(InputError, match="needs building"):
        play(parse(SAID), bare, tmp_path / "run")


@pytest.mark.usefixtures("puddle")
def test_members_of_an_ensemble_differ_as_the_distribution_says(city: City) -> None:
    scenario = parse({**SAID, "members": 200, "vary": {"puddle.rain": {"lognormal": {"median": "36 mm/h", "sigma": 0.2}}}})
    rains = np.array([scenario.member(n).params["puddle"].rain for n in range(200)])
    assert np.median(rains) == pytest.approx(1e-5, rel=0.05)
    assert np.std(np.log(rains)) == pytest.approx(0.2, rel=0.15)
    assert scenario.member(7).params == scenario.member(7).params


@pytest.mark.usefixtures("puddle")
def test_an_ensemble_says_low_median_and_high(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import contextmanager

    from citytwin.scenario import study

    @contextmanager
    def threads(executor: str, members: int) -> Any:
        with ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(study, "_workers", threads)
    write_city(city, tmp_path / "city")
    said = {**SAID, "members": 5, "vary": {"puddle.rain": {"uniform": {"low": "10 mm/h", "high": "80 mm/h"}}}}
    result = run(parse(said), read_city(tmp_path / "city"), tmp_path / "run")
    loss = result.impact["loss"]
    members = sorted(read_result(p).impact["loss"] for p in (result.folder / "members").iterdir())
    assert result.document["members"] == 5
    assert loss["low"] < loss["median"] < loss["high"]
    assert loss["median"] == pytest.approx(members[2])
    with result.fields as fields:
        assert float(fields["puddle_depth_peak_low"][0, 0]) < float(fields["puddle_depth_peak_high"][0, 0])
        assert 0 <= float(fields["puddle_depth_peak_probability"][0, 0]) <= 1
    assert result.table("building")["puddle_at_house_high"][0] >= result.table("building")["puddle_at_house"][0]


def test_courses_of_members_become_bands_where_all_members_tell_them() -> None:
    told = [{"epidemic": {"course": {"ill": [1, 2], "late": [1]}}}, {"epidemic": {"course": {"ill": [3, 6], "late": [1, 2]}}}]
    assert courses(told) == {"epidemic": {"ill": {"low": [1.1, 2.2], "median": [2.0, 4.0], "high": [2.9, 5.8]}}}
    assert courses([{"flood": {"volume": 1.0}}]) == {}
