"""An announced earthquake starts a run; readings, reports and the twin's own accelerometers make it run again."""

from __future__ import annotations

import datetime as dt
import json
import time

import httpx
import numpy as np
import pytest

from citytwin.errors import InputError
from citytwin.hazards.earthquake.events import read_event
from citytwin.server import events

PLACE = [1.7895, 42.4425]
OURS = {"id": "q1", "magnitude": 6.1, "place": PLACE, "depth": "8 km", "realisations": 16, "time": "2026-11-20T02:00:00Z"}


def done(server, run, patience=120.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        said = httpx.get(f"{server.url}/api/runs/{run}").json()
        if said["status"] in ("done", "failed", "stopped"):
            assert said["status"] == "done", said
            return said
        time.sleep(0.1)
    raise AssertionError("the run is not done")


def test_an_event_runs_and_readings_and_reports_sharpen_it(server):
    answer = httpx.post(f"{server.url}/api/events/earthquake", json=OURS)
    assert answer.status_code == 202, answer.text
    first = done(server, answer.json()["run"])
    assert first["result"]["impact"]["people_injured"]["high"] > 0
    event = f"{server.url}/api/events/earthquake/q1"
    again = httpx.post(f"{event}/readings", json={"readings": [{"place": PLACE, "pga": "8 m/s2"}]})
    assert again.status_code == 202, again.text
    second = done(server, again.json()["run"])
    assert second["result"]["diagnostics"]["earthquake"]["event"]["stations"] == 1
    key = server.twin.city.table("building")["key"].iloc[0]
    seen = httpx.post(f"{event}/reports", json={"reports": [{"building": key, "state": "collapsed"}]})
    assert seen.status_code == 202, seen.text
    third = done(server, seen.json()["run"])
    assert third["result"]["diagnostics"]["earthquake"]["event"]["reports"] == 1
    said = httpx.get(event).json()
    assert len(said["runs"]) == 3
    assert said["listening"]
    assert any(e["id"] == "q1" for e in httpx.get(f"{server.url}/api/events/earthquake").json())


def test_accelerometers_of_the_twin_are_readings_that_are_news_once(server):
    def read():
        state = server.twin.state
        values = np.full(server.twin.city.size("device"), np.nan)
        values[0] = 1.5
        state[events.COLUMN] = values
        here = server.app.state.served
        first = events.heard(here, {})
        return first, events.heard(here, first)

    first, second = server.call(read)
    reading = next(iter(first.values()))
    assert reading["pga"] == "1.5 m/s2"
    assert second == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"hello", "JSON or XML"), (b'{"magnitude": 6}', "place is missing"), (b"<nothing/>", "holds no event"),
        (b'{"magnitude": 6, "place": [1, 2], "size": 3}', '"size" is not an entry'), (b"{", "is not JSON"),
        (b'{"magnitude": "big", "place": [1, 2]}', "magnitude 'big' is not a number"),
        (b'{"type": "FeatureCollection", "features": []}', "has no feature"),
    ],
)  # fmt: skip
def test_a_message_that_is_no_event_is_refused_in_one_line(server, body, words):
    answer = httpx.post(f"{server.url}/api/events/earthquake", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"] + answer.json()["error"]["hint"]


def test_a_feature_of_usgs_is_read():
    feature = {
        "type": "Feature", "id": "us1", "geometry": {"coordinates": [13.38, 42.34, 8.3]},
        "properties": {"mag": 6.3, "place": "2 km SW of L'Aquila", "time": 1238981560000},
    }  # fmt: skip
    event = read_event(json.dumps(feature).encode())
    assert event.said == {"magnitude": 6.3, "place": [13.38, 42.34], "depth": "8.3 km"}
    assert event.time == 1238981560.0
    assert event.id == "us1"


def test_quakeml_is_read_by_its_preferred_origin():
    text = b"""<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters>
    <event publicID="smi:x/1"><preferredOriginID>o2</preferredOriginID>
    <origin publicID="o1"><latitude><value>1</value></latitude><longitude><value>2</value></longitude></origin>
    <origin publicID="o2"><time><value>2026-11-20T02:00:00.5Z</value></time><latitude><value>42.4</value></latitude>
    <longitude><value>1.5</value></longitude><depth><value>9000</value></depth></origin>
    <magnitude publicID="m"><mag><value>5.9</value></mag></magnitude>
    <focalMechanism><nodalPlanes><nodalPlane1><rake><value>-85</value></rake></nodalPlane1></nodalPlanes></focalMechanism>
    </event></eventParameters></q:quakeml>"""
    event = read_event(text)
    assert event.said == {"magnitude": 5.9, "place": [1.5, 42.4], "depth": "9.0 km", "mechanism": "normal"}
    assert event.time == dt.datetime(2026, 11, 20, 2, 0, 0, 500_000, tzinfo=dt.UTC).timestamp()


def test_an_unknown_event_has_no_readings(server):
    answer = httpx.post(f"{server.url}/api/events/earthquake/none/readings", json={"readings": []})
    assert answer.status_code == 404


def test_an_event_with_entities_is_refused():
    with pytest.raises(InputError):
        read_event(b'<!DOCTYPE x [<!ENTITY a "b">]><quakeml>&a;</quakeml>')
