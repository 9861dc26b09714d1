"""What may be commanded: limits, choices, who may; signals without conflicting greens; interlocks that assume the worst."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin import columns
from citytwin.city import City
from citytwin.errors import ConflictError, InputError, MissingError
from citytwin.incidents.command import Command, CommandKinds, Standing, folded
from citytwin.incidents.interlock import Interlocks, Rule
from citytwin.incidents.signals import Signals, read_signals
from tests.live.device_city import device_city

COLUMNS = columns.shipped()
KINDS = CommandKinds(COLUMNS)


def gate():
    return KINDS.get("sluice_gate", "set_opening")


@pytest.mark.parametrize(("given", "value"), [("0.4 m", 0.4), (0.4, 0.4), ("40 cm", 0.4), ("0.4", 0.4), (0, 0.0), (10, 10.0)])
def test_a_value_is_read_in_any_unit(given, value):
    assert gate().read(given) == pytest.approx(value)


@pytest.mark.parametrize("given", ["12 m", -0.01, 0.005, "0.4 s", "wide", True, None, float("nan"), float("inf"), [1]])
def test_a_value_outside_the_declaration_is_refused_in_one_line(given):
    with pytest.raises(InputError) as error:
        gate().read(given)
    assert "\n" not in str(error.value)


def test_choices_are_named_and_the_nearest_is_offered():
    pump = KINDS.get("pump_state", "switch")
    assert (pump.read("run"), pump.read(0)) == (1.0, 0.0)
    with pytest.raises(InputError, match='did you mean "stop"'):
        pump.read("stopp")


def test_an_unknown_command_names_the_nearest():
    with pytest.raises(MissingError, match="set_opening"):
        KINDS.get("sluice_gate", "set_openning")
    with pytest.raises(MissingError, match="take no commands"):
        KINDS.get("rain_gauge", "switch")


def test_a_text_has_a_length_and_no_characters_that_nobody_sees():
    sign = KINDS.get("message_sign", "show_text")
    assert sign.read("Bridge\x00 closed") == "Bridge  closed"
    for wrong in ("", "x" * 61, 3):
        with pytest.raises(InputError):
            sign.read(wrong)


def test_a_gate_moves_only_so_far_at_once():
    assert gate().steps_too_far(0.0, 2.0) == ""
    assert "at most 2" in gate().steps_too_far(0.0, 2.5)
    assert gate().steps_too_far(float("nan"), 9.0) == ""


def test_a_city_adds_commands_and_may_not_change_ours(tmp_path):
    head = "command,kind,form,unit,low,high,step,most,choices,sets,answer,check,roles,meaning\n"
    (tmp_path / "commands.csv").write_text(head + "flush,sewer_level,choice,,,,,,off=0;on=1,,60,no,,Flush the sewer\n")
    assert CommandKinds(COLUMNS, tmp_path).get("sewer_level", "flush").read("on") == 1.0
    (tmp_path / "commands.csv").write_text(head + "set_opening,sluice_gate,number,m,0,99,,,,,9,no,,Wider\n")
    with pytest.raises(ConflictError, match="declared twice"):
        CommandKinds(COLUMNS, tmp_path)
    for wrong in ("flush,sewer_levl,choice,,,,,,off=0,,60,no,,x", "flush,sewer_level,chois,,,,,,off=0,,60,no,,x",
                  "flush,sewer_level,choice,,,,,,,,60,no,,x", "flush,sewer_level,number,m,0,1,,,,,,no,,x"):  # fmt: skip
        (tmp_path / "commands.csv").write_text(head + wrong + "\n")
        with pytest.raises((InputError, MissingError)):
            CommandKinds(COLUMNS, tmp_path)


# -- signals -----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_no_signals_with_opposing_greens_can_be_declared(data):
    """Whatever stages are drawn: either the check refuses them, or no stage has two conflicting groups."""
    groups = ("a", "b", "c", "d")
    pairs = list(itertools.combinations(groups, 2))
    conflicts = tuple(data.draw(st.lists(st.sampled_from(pairs), unique=True)))
    stages = data.draw(st.lists(st.sets(st.sampled_from(groups), min_size=1), min_size=1, max_size=4))
    signals = Signals.model_validate({
        "groups": groups, "conflicts": conflicts,
        "stage": [{"number": i, "green": sorted(s)} for i, s in enumerate(stages, 1)],
    })  # fmt: skip
    opposing = any(a in s and b in s for s in stages for a, b in conflicts)
    if opposing:
        with pytest.raises(InputError, match="conflict"):
            signals.check("here")
    else:
        signals.check("here")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('green = ["main", "walk_side"]', "would both be green"),
        ('green_for = "30 s"', "in a cycle of"),
        ("{stage = 1,", "not declared"),
        ("number = 1", "less than or equal"),
    ],
)
def test_impossible_signals_are_refused_with_their_place(tmp_path, change, words):
    from importlib import resources

    text = resources.files("citytwin.incidents").joinpath("signals.toml").read_text()
    wrong = {
        "green =": 'green = ["main", "side"]',
        "green_for": 'green_for = "300 s"',
        "{stage": "{stage = 9,",
        "number": "number = 77",
    }
    (tmp_path / "signals.toml").write_text(text.replace(change, next(v for k, v in wrong.items() if change.startswith(k)), 1))
    with pytest.raises(InputError, match=words):
        read_signals(tmp_path)


def test_shipped_signals_are_possible():
    assert sorted(read_signals(None).default.plans()) == [0, 1, 2, 3, 4, 31]


# -- interlocks --------------------------------------------------------------------------------------------------------


def interlocks(*rules, city=None):
    city = city or device_city(6, ("sluice_gate", "pump_state", "signal_stage"))
    return Interlocks([Rule.model_validate(r) for r in rules], city, COLUMNS)


GATE_AND_PUMP = {
    "name": "gate against pump",
    "never": [{"device": "device-0", "above": "10 cm"}, {"device": "device-1", "is": 1}],
}


def test_an_interlock_looks_at_where_the_other_may_be():
    found = interlocks(GATE_AND_PUMP)
    assert found.broken(0, 0.5, lambda row: frozenset([1.0]))
    assert not found.broken(0, 0.5, lambda row: frozenset([0.0]))
    assert not found.broken(0, 0.1, lambda row: frozenset([1.0]))  # not above
    assert found.broken(0, 0.5, lambda row: frozenset([0.0, 1.0]))  # a command is on its way
    assert found.broken(1, 1.0, lambda row: None)  # nobody knows where the gate is
    assert not found.broken(1, 0.0, lambda row: None)


def test_devices_of_one_junction_are_held_together_and_others_are_not():
    plain = device_city(6, ("signal_stage",))
    relations = pd.DataFrame({
        "kind": "observes", "from_table": "device", "from_key": [f"device-{i}" for i in range(6)], "to_table": "junction",
        "to_key": ["j1", "j1", "j2", "j2", "j3", "j4"],
    })  # fmt: skip
    junctions = plain.table("device").iloc[:4][["key", "geometry"]].assign(key=["j1", "j2", "j3", "j4"])
    city = City(plain.facts, {"device": plain.table("device"), "junction": junctions}, relations=relations)
    rule = {
        "name": "opposing greens",
        "each": "junction",
        "never": [{"kind": "signal_stage", "is": 1}, {"kind": "signal_stage", "is": 2}],
    }
    found = interlocks(rule, city=city)
    at = {0: 1.0, 1: 0.0, 2: 2.0, 3: 0.0, 4: 1.0, 5: 2.0}

    def possible(row):
        return frozenset([at[row]])

    assert found.broken(1, 2.0, possible)  # j1: device-0 shows 1
    assert not found.broken(1, 1.0, possible)
    assert found.broken(3, 1.0, possible)
    assert not found.broken(5, 1.0, possible)  # alone at its junction


@pytest.mark.parametrize(
    ("never", "words"),
    [
        ([{"device": "device-9", "is": 1}], "device-9"),
        ([{"device": "device-0"}], "says `is`"),
        ([{"device": "device-0", "kind": "x", "is": 1}], "one of them"),
        ([{"kind": "pump_state", "is": 1}], "needs `each`"),
        ([{"device": "device-0", "above": "3 s"}], "unit"),
    ],
)
def test_a_wrong_interlock_says_where(never, words):
    with pytest.raises(InputError, match=words):
        interlocks({"name": "x", "never": never})


# -- the fold ----------------------------------------------------------------------------------------------------------


def test_the_journal_alone_tells_how_commands_stand():
    one = Command("a", "gate-1", "sluice_gate", "set_opening", 0.4, "Ana", "water", "tide", 100.0, 280.0, 0.0)
    two = Command("b", "sign-1", "message_sign", "show_text", "closed", "Ana", "traffic", "", 101.0, 116.0)
    lines = [one.entry("sent", "x", 100.0), two.entry("sent", "x", 101.0),
             one.ended(Standing.CONFIRMED, 103.0).entry("confirmed", "x", 103.0)]  # fmt: skip
    kept = [e.chained(i, "0" * 64) for i, e in enumerate(lines, 1)]
    back = folded(reversed(kept))
    assert [c.standing for c in back] == [Standing.CONFIRMED, Standing.SENT]
    assert back[1] == two
