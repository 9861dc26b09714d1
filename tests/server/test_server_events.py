"""An announced earthquake starts a run; readings, reports and the twin's own accelerometers make it run again."""

from __future__ import annotations

import datetime as dt
import json
import time

import httpx
import pytest

from citytwin.cli import main
from citytwin.errors import InputError
from citytwin.hazards.earthquake.events import read_event, single_events

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
    assert not said["listening"]  # this city has no accelerometers
    assert any(e["id"] == "q1" for e in httpx.get(f"{server.url}/api/events/earthquake").json())


def test_the_same_event_said_again_starts_nothing_and_a_corrected_one_keeps_what_was_learnt(server):
    said = {**OURS, "id": "twice"}
    first = httpx.post(f"{server.url}/api/events/earthquake", json=said)
    again = httpx.post(f"{server.url}/api/events/earthquake", json=said)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {**first.json(), "fresh": False}
    httpx.post(f"{server.url}/api/events/earthquake/twice/readings", json={"readings": [{"place": PLACE, "pga": "2 m/s2"}]})
    corrected = httpx.post(f"{server.url}/api/events/earthquake", json={**said, "magnitude": 6.3})
    assert corrected.status_code == 202
    known = httpx.get(f"{server.url}/api/events/earthquake/twice").json()
    assert len(known["runs"]) == 3
    assert len(known["readings"]) == 1
    assert known["earthquake"]["magnitude"] == 6.3
    assert done(server, corrected.json()["run"])["result"]["diagnostics"]["earthquake"]["event"]["stations"] == 1


def test_felt_reports_narrow_the_shaking_by_how_many_they_are(server):
    said = {**OURS, "id": "felt", "drill": True}
    httpx.post(f"{server.url}/api/events/earthquake", json=said)
    event = f"{server.url}/api/events/earthquake/felt"
    felt = httpx.post(f"{event}/readings", json={"readings": [{"place": PLACE, "intensity": 8.5, "responses": 40}]})
    assert felt.status_code == 202, felt.text
    told = done(server, felt.json()["run"])["result"]["diagnostics"]["earthquake"]["event"]
    assert told["stations"] == 1
    known = httpx.get(event).json()
    assert known["name"].startswith("Drill: ")
    assert known["drill"]
    assert not known["listening"]
    wrong = httpx.post(f"{event}/readings", json={"readings": [{"place": PLACE, "pga": "1 m/s2", "intensity": 5.0}]})
    assert wrong.status_code == 400
    assert "pga or pgv, or else an intensity" in wrong.text
    assert len(httpx.get(event).json()["runs"]) == 2


def test_an_aftershock_is_tried_on_the_city_as_it_was_reported(server):
    said = {**OURS, "id": "after", "drill": True}
    httpx.post(f"{server.url}/api/events/earthquake", json=said)
    event = f"{server.url}/api/events/earthquake/after"
    key = server.twin.city.table("building")["key"].iloc[0]
    httpx.post(f"{event}/reports", json={"reports": [{"building": key, "state": "extensive"}]})
    shock = {"magnitude": 5.5, "place": PLACE, "delay": "90 min"}
    more = httpx.post(f"{server.url}/api/events/earthquake", json={**said, "aftershocks": [shock]})
    assert more.status_code == 202, more.text
    result = done(server, more.json()["run"])["result"]
    told = result["diagnostics"]["earthquake"]["event"]
    assert (told["aftershocks"], told["reports"]) == (1, 1)
    assert result["simulated_s"] >= 90 * 60
    wrong = httpx.post(f"{server.url}/api/events/earthquake", json={**said, "aftershocks": [{**shock, "delay": "soon"}]})
    assert wrong.status_code == 400


def usgs(id, magnitude, lon, lat, when):
    said = {"mag": magnitude, "place": "here", "time": when * 1000}
    return {"type": "Feature", "id": id, "geometry": {"coordinates": [lon, lat, 9.0]}, "properties": said}


def test_a_feed_is_followed_and_what_is_weak_far_or_old_is_passed_over(server, tmp_path, capsys):
    now = time.time()
    features = [usgs("fed", 5.1, *PLACE, now), usgs("weak", 3.0, *PLACE, now), usgs("far", 7.0, -120.0, 30.0, now),
                usgs("old", 6.0, *PLACE, now - 7200), {"type": "Feature", "id": "empty"}]  # fmt: skip
    feed = tmp_path / "feed.json"
    feed.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert main(["events", "follow", str(feed), "--url", server.url, "--times", "2", "--every", "1"]) == 0
    said = capsys.readouterr()
    assert said.out == "1 events announced in 2 looks\n"
    assert "an event was passed over" in said.err
    known = {e["id"]: e for e in httpx.get(f"{server.url}/api/events/earthquake").json()}
    assert len(known["fed"]["runs"]) == 1
    assert not {"weak", "far", "old", "empty"} & set(known)
    features[0] = usgs("fed", 5.6, *PLACE, now)  # the agency corrects it
    feed.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert main(["events", "follow", str(feed), "--url", server.url, "--times", "1"]) == 0
    assert len(httpx.get(f"{server.url}/api/events/earthquake/fed").json()["runs"]) == 2
    assert main(["events", "follow", str(tmp_path / "none"), "--times", "1", "--url", server.url]) == 2


def test_events_of_one_document_are_told_apart():
    event = '<event publicID="{}"><origin><latitude><value>1</value></latitude><longitude><value>2</value></longitude></origin>'
    event += "<magnitude><mag><value>5</value></mag></magnitude></event>"
    text = (
        '<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters>'
    )
    text += event.format("a") + event.format("b") + "</eventParameters></q:quakeml>"
    assert [read_event(e).id for e in single_events(text.encode())] == ["a", "b"]
    assert single_events(b'{"magnitude": 5}') == [b'{"magnitude": 5}']
    with pytest.raises(InputError, match="neither JSON nor XML"):
        single_events(b"hello")


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
