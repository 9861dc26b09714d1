"""Rules: what they say, what they refuse, and what they find, compared with an engine that looks at one thing at a time."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_city import HandView, rule_city

from citytwin.errors import InputError
from citytwin.incidents.rules import Engine, json_schema, rule_of, rules_of
from citytwin.incidents.rules.schedule import Hours

RIVER = {"table": "device", "kind": "river_stage"}
HIGH = {"on": RIVER, "when": {"column": "river_level", "above": "3 m"}}


def engine(view: HandView, **rules: Any) -> Engine:
    return Engine(view, rules_of({"rule": rules}))


def levels(view: HandView, found: Engine, name: str = "rule") -> list[int]:
    return found.watched[name].level.tolist()


@pytest.fixture
def view() -> HandView:
    return HandView(rule_city(9))  # three of each kind; river_stage: dev-0, dev-3, dev-6


def test_a_value_above_its_limit_is_found_and_one_at_it_is_not(view: HandView) -> None:
    found = engine(view, rule=HIGH)
    view.set("river_level", np.array([3.1, 0, 0, 3.0, 0, 0, 2.9, 0, 0]))
    found.step(0)
    assert levels(view, found) == [1, 0, 0]


def test_limits_are_turned_into_the_columns_unit(view: HandView) -> None:
    found = engine(view, rule={**HIGH, "when": {"column": "river_level", "above": "350 cm"}},
                   warm={"on": {"table": "device", "kind": "air_temperature"},
                         "when": {"column": "air_temperature", "above": "86 degF"}})  # fmt: skip
    view.set("river_level", 3.4)
    view.set("air_temperature", 30.5)
    found.step(0)
    assert levels(view, found) == [0, 0, 0]
    assert levels(view, found, "warm") == [1, 1, 1]


def test_between_limit_and_until_it_stays_what_it_was(view: HandView) -> None:
    found = engine(view, rule={"on": RIVER, "when": {"column": "river_level", "above": "3 m", "until": "2.5 m"}})
    seen = []
    for second, value in enumerate([2.8, 3.2, 2.8, 2.6, 2.4, 2.8, 3.1]):
        view.set("river_level", value)
        found.step(second)
        seen.append(levels(view, found)[0])
    assert seen == [0, 1, 1, 1, 0, 0, 1]


def test_it_has_to_hold_for_the_whole_delay(view: HandView) -> None:
    found = engine(view, rule={**HIGH, "after": "10 s", "clear_after": "5 s"})
    seen = {}
    for second in range(60):
        view.set("river_level", 4.0 if second in range(2, 9) or second in range(20, 40) else 1.0)
        found.step(second, np.ones(9, bool) if second in (0, 2, 9, 20, 40) else np.zeros(9, bool))
        seen[second] = levels(view, found)[0]
    assert [s for s in seen if seen[s]] == list(range(30, 45))


def test_what_is_not_known_changes_nothing(view: HandView) -> None:
    found = engine(view, rule=HIGH)
    for value, expected in ((np.nan, 0), (4.0, 1), (np.nan, 1), (1.0, 0)):
        view.set("river_level", value)
        found.step(0)
        assert levels(view, found)[0] == expected


def test_the_highest_level_that_holds_is_the_level(view: HandView) -> None:
    graver = [{"severity": "severe", "when": {"column": "river_level", "above": "4 m"}},
              {"severity": "critical", "when": {"column": "river_level", "above": "5 m"}, "after": "1 min"}]  # fmt: skip
    found = engine(view, rule={**HIGH, "levels": graver})
    view.set("river_level", np.array([3.5, 0, 0, 4.5, 0, 0, 5.5, 0, 0]))
    found.step(0)
    assert levels(view, found) == [1, 2, 2]
    found.step(60, np.zeros(9, bool))
    assert levels(view, found) == [1, 2, 3]


def test_a_rise_within_the_window_is_found_and_a_slow_one_is_not(view: HandView) -> None:
    found = engine(view, rule={"on": RIVER, "when": {"column": "river_level", "rises": "0.5 m", "within": "10 min"}})
    slow = 0
    for second in range(0, 3600, 10):
        view.set("river_level", 1 + second * 0.4 / 600)  # 0.4 m in 10 min
        found.step(second)
        slow += levels(view, found)[0]
    for second in range(3600, 4000, 10):
        view.set("river_level", 3.4 + (second - 3600) * 0.7 / 600)
        found.step(second)
    assert slow == 0
    for second in range(4000, 4600, 10):
        view.set("river_level", 3.9 + (second - 4000) * 0.7 / 600)
        found.step(second)
    assert levels(view, found)[0] == 1
    for second in range(4600, 5400, 10):
        found.step(second)
    assert levels(view, found)[0] == 0


def test_a_difference_of_degrees_is_not_a_temperature(view: HandView) -> None:
    warm = {"table": "device", "kind": "air_temperature"}
    found = engine(view, rule={"on": warm, "when": {"column": "air_temperature", "falls": "5 degC", "within": "1 h"}},
                   same={"on": warm, "when": {"column": "air_temperature", "falls": "5 kelvin", "within": "1 h"}})  # fmt: skip
    for second, value in ((0, 20.0), (600, 15.5), (1200, 14.5)):
        view.set("air_temperature", value)
        found.step(second)
        assert levels(view, found)[0] == levels(view, found, "same")[0] == (value == 14.5)


def test_silence_counts_in_periods_and_not_while_there_was_no_twin(view: HandView) -> None:
    found = engine(view, rule={"on": {"table": "device"}, "when": {"silent": "3 periods"}})  # 60 s, 30 s, 300 s
    view.heard_at[:] = -1000.0
    found.step(91)
    assert levels(view, found) == [0, 1, 0] * 3
    found.step(181)
    assert levels(view, found) == [1, 1, 0] * 3
    view.heard_at[:] = 181
    found.step(182)
    assert levels(view, found) == [0] * 9


def test_after_a_restart_a_silent_device_is_still_silent_until_it_is_heard(view: HandView) -> None:
    found = engine(view, rule={"on": {"table": "device"}, "when": {"silent": "1 min"}})
    view.began = 1000.0
    found = engine(view, rule={"on": {"table": "device"}, "when": {"silent": "1 min"}})
    found.watched["rule"].resume(0, 1)
    found.step(1001)
    assert levels(view, found)[:2] == [1, 0]
    view.heard_at[0] = 1002
    found.step(1003)
    assert levels(view, found)[0] == 0


def test_a_status_is_found(view: HandView) -> None:
    found = engine(view, rule={"on": {"table": "device"}, "when": {"status": ["faulty", "silent"]}})
    view.codes[4] = 4
    found.step(0)
    assert np.flatnonzero(found.watched["rule"].level).tolist() == [4]


def test_a_zone_is_judged_by_its_devices_together(view: HandView) -> None:
    volts = {"table": "device", "kind": "feeder_voltage"}
    low = {"column": "feeder_voltage", "below": "200 V"}
    view = HandView(rule_city(24, ("feeder_voltage",), 3))
    found = engine(view, rule={"on": volts, "per": "zone", "take": "max", "when": low})
    value = np.full(24, 230.0)
    value[::3] = 190.0
    view.set("feeder_voltage", value)
    found.step(0)
    assert levels(view, found) == [1, 0, 0]
    assert found.watched["rule"].selection.subject(0) == ("zone", "zone-0")
    value[0] = 220.0
    view.set("feeder_voltage", value)
    found.step(1)
    assert levels(view, found) == [0, 0, 0]


@pytest.mark.parametrize("take", ["mean", "max", "min", "sum", "median"])
def test_groups_are_summed_up_as_pandas_does(take: str) -> None:
    import pandas as pd

    from citytwin.incidents.rules.conditions import Groups

    random = np.random.default_rng(1)
    value, code = random.normal(size=200), random.integers(0, 7, 200)
    value[random.random(200) < 0.2] = np.nan
    value[code == 3] = np.nan
    expected = getattr(pd.Series(value).dropna().groupby(code[~np.isnan(value)]), take)().reindex(range(7)).to_numpy()
    np.testing.assert_allclose(Groups(code, 7).taken(value, take), expected, equal_nan=True, rtol=1e-12)


def test_shares_and_numbers_are_of_what_is_known() -> None:
    view = HandView(rule_city(8, ("feeder_voltage",), 2))
    low = {"column": "feeder_voltage", "below": "200 V"}
    volts = {"table": "device", "kind": "feeder_voltage"}
    found = engine(view, share={"on": volts, "per": "zone", "when": {"share_of": low, "above": "50 %"}},
                   number={"on": volts, "per": "city", "when": {"number_of": low, "above": 2}})  # fmt: skip
    view.set("feeder_voltage", [190, 190, 190, 230, np.nan, 230, np.nan, 230])
    found.step(0)
    assert levels(view, found, "share") == [1, 0]
    assert levels(view, found, "number") == [1]


def test_a_forecast_is_looked_at_where_there_is_one(view: HandView) -> None:
    when = {"column": "river_level", "forecast": "6 h", "run": "nowcast*", "above": "3 m"}
    found = engine(view, rule={"on": RIVER, "when": when})
    view.set("river_level", 9.0)
    found.step(0, np.zeros(9, bool))
    assert levels(view, found) == [0, 0, 0]
    view.run["river_level"] = np.array([4.0, 0, 0, 1.0, 0, 0, np.nan, 0, 0])
    found.step(1, np.zeros(9, bool))
    assert levels(view, found) == [1, 0, 0]


def test_outside_its_hours_a_rule_finds_nothing(view: HandView) -> None:
    noon = 12 * 3600.0  # 1 January 1970, a Thursday
    hours = [{"days": ["thu"], "begin": "11:00", "end": "13:00"}]
    found = engine(view, rule={**HIGH, "active": hours})
    view.set("river_level", 5.0)
    for now, expected in ((noon - 3601, 0), (noon, 1), (noon + 3600, 0), (noon + 86400, 0), (noon + 7 * 86400, 1)):
        found.step(now, np.zeros(9, bool))
        assert levels(view, found)[0] == expected


def test_hours_past_midnight_belong_to_the_day_they_begin_on() -> None:
    hours = Hours(days=("fri",), begin="22:00", end="06:00", zone="Europe/Andorra")
    friday_evening = dt.datetime(2026, 11, 20, 20, 30, tzinfo=dt.UTC).timestamp()  # 21:30 there
    assert not hours.hold(friday_evening)
    assert hours.hold(friday_evening + 3600)
    assert hours.hold(friday_evening + 8 * 3600)
    assert not hours.hold(friday_evening + 9 * 3600)
    assert not hours.hold(friday_evening + 25 * 3600)


COMPARE = st.sampled_from([
    {"column": "river_level", "above": "3 m"}, {"column": "river_level", "above": "3 m", "until": "2 m"},
    {"column": "river_level", "below": "1 m"}, {"column": "river_level", "below": "1 m", "until": "2 m"},
])  # fmt: skip
TREES = st.recursive(
    COMPARE,
    lambda inner: st.one_of(
        *(st.fixed_dictionaries({name: st.lists(inner, min_size=1, max_size=3)}) for name in ("all", "any", "none")),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: {"of": parts, "at_least": 2}),
    ),
    max_leaves=5,
)


class Naive:
    """A rule on one thing, looked at each second: truth of three values as None, False, True."""

    def __init__(self, when: dict[str, Any]) -> None:
        self.when, self.held = when, False
        self.parts = [Naive(w) for w in when.get("all") or when.get("any") or when.get("none") or when.get("of") or ()]

    def look(self, value: float) -> bool | None:
        found = [part.look(value) for part in self.parts]
        if "all" in self.when:
            return False if False in found else None if None in found else True
        if "any" in self.when:
            return True if True in found else None if None in found else False
        if "none" in self.when:
            return False if True in found else None if None in found else True
        if "of" in self.when:
            return True if found.count(True) >= 2 else False if found.count(True) + found.count(None) < 2 else None
        if np.isnan(value):
            return None
        limit = float((self.when["above" if "above" in self.when else "below"]).split()[0])
        if self.held:
            limit = float(self.when.get("until", f"{limit} m").split()[0])
        self.held = value > limit if "above" in self.when else value < limit
        return self.held


VALUES = st.lists(st.sampled_from([0.5, 1.5, 2.5, 3.5, float("nan")]), min_size=3, max_size=3)


@given(TREES, st.lists(VALUES, min_size=1, max_size=12), st.integers(0, 3), st.integers(0, 3))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_engine_finds_what_a_look_at_each_thing_alone_finds(when: Any, seconds: Any, after: int, clear: int) -> None:
    view = HandView(rule_city(3, ("river_stage",)))
    found = engine(view, rule={"on": RIVER, "when": when, "after": f"{after} s", "clear_after": f"{clear} s"})
    naive = [Naive(when) for _ in range(3)]
    on, since = [False] * 3, [None] * 3
    last = None
    for now, values in enumerate(seconds):
        view.set("river_level", values)
        changed = np.ones(3, bool) if last is None else ~np.isclose(values, last, equal_nan=True)
        found.step(float(now), changed)
        last = values
        for i in range(3):
            holds = naive[i].look(values[i])
            differs = holds is not None and holds != on[i]
            since[i] = None if not differs else now if since[i] is None else since[i]
            if since[i] is not None and now - since[i] >= (clear if on[i] else after):
                on[i], since[i] = not on[i], None
        assert found.watched["rule"].level.tolist() == [int(x) for x in on]


@pytest.mark.parametrize(("said", "words"), [
    ({"on": {"table": "device", "kind": "river_stag"}, "when": HIGH["when"]}, "river_stage"),
    ({"on": RIVER, "when": {"column": "river_lvl", "above": "3 m"}}, "river_level"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "3"}}, "no unit"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "3 kg"}}, "give it in m"),
    ({"on": RIVER, "when": {"column": "river_level", "abov": "3 m"}}, "above"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "2.2 km"}}, "never above 2200 m"),
    ({"on": RIVER, "when": {"column": "river_level", "below": "-1 km"}}, "never below -1000 m"),
    ({"on": RIVER, "when": {"column": "river_level"}}, "compares nothing"),
    ({"on": RIVER, "when": {"above": "3 m"}}, "name a column"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "3 m", "within": "1 h"}}, "does not go with"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "3 m", "until": "4 m"}}, "wrong side"),
    ({"on": RIVER, "when": {"column": "noise_level", "above": 70.0}}, "none of these devices"),
    ({"on": RIVER, "when": {"column": "river_level", "rises": "1 m"}}, "within"),
    ({"on": RIVER, "when": {"status": ["broken"]}}, 'no device is "broken"'),
    ({"on": RIVER, "when": {"share_of": HIGH["when"], "above": 0.5}}, "per ="),
    ({"on": RIVER, "per": "zone", "when": {"silent": "1 h"}}, "share_of"),
    ({"on": RIVER, "per": "zon", "when": HIGH["when"]}, "zone"),
    ({**HIGH, "severity": "grave"}, "severity"),
    ({**HIGH, "message": "{nme}"}, "name"),
    ({**HIGH, "message": "{name.__class__}"}, "no field"),
    ({**HIGH, "message": "{value:>9999999}"}, "format"),
    ({**HIGH, "message": "{"}, "cannot be read"),
    ({**HIGH, "after": "5 kg"}, "does not measure"),
    ({**HIGH, "after": "-5 s"}, "negative"),
    ({**HIGH, "levels": [{"severity": "info", "when": HIGH["when"]}]}, "in order"),
    ({**HIGH, "active": [{"zone": "Europe/Andora"}]}, "Europe/Andorra"),
    ({**HIGH, "active": [{"begin": "25:00"}]}, "time of day"),
    ({"on": RIVER, "when": {"of": [HIGH["when"]], "at_least": 2}}, "at_least"),
    ({"on": RIVER, "when": {"column": "river_level", "above": "3 m", "forecast": "6 h"}}, "run"),
    ({"on": {"table": "device", "where": [{"column": "river_level", "value": 1.0}]}, "when": HIGH["when"]}, "into when"),
])  # fmt: skip
def test_a_wrong_rule_is_refused_with_the_place_and_the_way_out(view: HandView, said: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        engine(view, high=said)
    assert words in str(caught.value)
    assert "rule.high" in str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = ["on", "when", "table", "kind", "column", "above", "all", "levels", "active", "message", "x"]


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
                    max_leaves=12))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_whatever_is_said_is_a_rule_or_refused_in_one_line(said: Any) -> None:
    with contextlib.suppress(InputError):
        assert rules_of({"rule": {"x": said}})["x"].severity


def test_the_published_schema_takes_what_the_reader_takes() -> None:
    import jsonschema

    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"rule": {"high": HIGH}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"rule": {"high": {**HIGH, "severty": "info"}}}, schema)
    json.dumps(schema)
    assert rule_of(HIGH).severity == "warning"
