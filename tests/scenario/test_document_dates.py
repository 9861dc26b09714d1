"""Interventions may begin on a date, in a scenario that does."""

from __future__ import annotations

import datetime as dt

import pytest
import yaml

from citytwin.errors import InputError
from citytwin.jsonable import plain
from citytwin.scenario import check, parse

SAID = {
    "name": "D", "start": "2027-01-04T12:00:00Z", "duration": "30d", "every": "1d",
    "hazards": [{"epidemic": {"disease": "influenza"}}],
}  # fmt: skip


def begins(at, **more):
    return parse({**SAID, **more, "interventions": [{"at": at, "school_closure": {}}]}).interventions[0].at


@pytest.mark.parametrize(
    "at", ["2027-01-14", dt.date(2027, 1, 14), "2027-01-14T00:00:00Z", "2027-01-14T01:00:00+01:00"], ids=str
)
def test_a_date_is_the_time_from_the_start_to_it(at):
    assert begins(at) == 9.5 * 86400


def test_a_time_after_the_start_is_as_ever():
    assert begins("10d") == 10 * 86400
    assert begins("2 h") == 7200


def test_a_scenario_with_dates_is_written_and_read_again():
    said = {**SAID, "interventions": [{"at": dt.date(2027, 1, 14), "school_closure": {}}]}
    scenario = parse(said)
    again = parse(yaml.safe_load(scenario.text()))
    assert again.interventions[0].at == 9.5 * 86400
    assert "2027-01-14" in str(plain(scenario.said))


@pytest.mark.parametrize(("at", "more", "words"), [
    ("2027-01-01", {}, "before the start"), ("2027-13-41", {}, "not a date"),
    ("2027-01-14", {"start": "now"}, "starts on a date"),
], ids=["early", "wrong", "now"])  # fmt: skip
def test_a_date_that_cannot_be_is_refused_in_one_line(at, more, words):
    problems = check({**SAID, **more, "interventions": [{"at": at, "school_closure": {}}]})
    assert len(problems) == 1
    assert words in str(problems[0])
    assert problems[0].where == "interventions[0].at"
    with pytest.raises(InputError):
        begins(at, **more)
