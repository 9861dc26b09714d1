"""Earthquake and epidemic on the page: an event becomes shaking, damage, triage, and stations change it; curves have bands."""

from __future__ import annotations

import datetime as dt
import json
import time

import httpx
from seeing import window

EPIDEMIC = """name: Outbreak
start: now
duration: 30 d
every: 1 d
seed: 1
members: 3
hazards:
  - epidemic: {disease: influenza, seeds: [{people: 30}]}
"""


def ended(seen, run):
    """Wait until a run is done."""
    for _ in range(600):
        status = seen.ask(f"runs/{run}")["status"]
        if status not in ("queued", "running"):
            break
        seen.page.wait_for_timeout(300)
    assert status == "done"


def test_an_announced_earthquake_becomes_shaking_damage_and_triage_and_stations_change_it(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=runs&layers=devices:0")
        page = seen.page
        lon, lat = seen.ask("city")["center"]
        event = {"magnitude": 6.4, "place": [lon, lat], "depth": "9 km"}
        said = httpx.post(f"{server}/api/events/earthquake", json=event, timeout=60)
        assert said.status_code == 202, said.text
        ended(seen, said.json()["run"])
        runs = page.locator("li", has_text="Earthquake").filter(has=page.get_by_role("button", name="Show"))
        runs.first.get_by_role("button", name="Show").click()
        table = page.get_by_role("table", name="Where to look first")
        table.wait_for(timeout=60_000)
        before = table.inner_text()
        assert "(" in before  # ranges
        assert page.get_by_text("no station yet").is_visible()
        assert page.locator(".grade").count() >= 1
        seen.until("window.citytwin.state().raster !== null && window.citytwin.state().column === 'ground_acceleration'", 60)
        page.get_by_role("button", name="Collapse", exact=True).click()
        seen.until("window.citytwin.state().overlay?.column === 'collapse_probability'", 30)
        page.get_by_role("button", name="Search order").click()
        seen.until("window.citytwin.state().overlay?.column === 'zone_search_rank'", 30)
        readings = [{"place": [lon, lat], "pga": "0.9 m/s2"}]
        more = httpx.post(
            f"{server}/api/events/earthquake/{said.json()['id']}/readings", json={"readings": readings}, timeout=60
        )
        assert more.status_code == 202, more.text
        ended(seen, more.json()["run"])
        runs.first.get_by_role("button", name="Show").click()
        page.get_by_text("held to 1 station").wait_for(timeout=60_000)
        assert table.inner_text() != before


def test_the_city_s_own_accelerometers_change_the_shown_earthquake_by_themselves(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=runs&layers=devices:0")
        page = seen.page
        lon, lat = seen.ask("city")["center"]
        origin = time.time() - 60.0
        event = {"magnitude": 6.4, "place": [lon, lat], "depth": "9 km", "realisations": 64, "id": "felt here",
                 "time": dt.datetime.fromtimestamp(origin, dt.UTC).isoformat()}  # fmt: skip
        said = httpx.post(f"{server}/api/events/earthquake", json=event, timeout=60)
        assert said.status_code == 202, said.text
        ended(seen, said.json()["run"])
        runs = page.locator("li", has_text="Earthquake").filter(has=page.get_by_role("button", name="Show"))
        runs.first.get_by_role("button", name="Show").click()
        table = page.get_by_role("table", name="Where to look first")
        table.wait_for(timeout=60_000)
        before = table.inner_text()
        listed = seen.ask("live/devices")
        kind = listed["kinds"].index("accelerometer")
        devices = [key for key, k in zip(listed["keys"], listed["kind"], strict=True) if k == kind]
        lines = "\n".join(json.dumps({"device": key, "value": 2.5, "time": origin + 5.0}) for key in devices)
        sent = httpx.post(f"{server}/api/readings", content=lines, headers={"content-type": "application/x-ndjson"}, timeout=60)
        assert sent.json()["accepted"] == len(devices) > 0, sent.text
        page.get_by_text("held to").wait_for(timeout=120_000)  # nobody clicked
        assert table.inner_text() != before
        assert page.get_by_text("devices of the city told of it").is_visible()
        page.get_by_role("button", name="What stations changed").click()
        seen.until("window.citytwin.state().raster !== null && window.citytwin.state().column === 'shaking_change'", 60)
        page.get_by_role("button", name="How unsure").click()
        seen.until("window.citytwin.state().raster !== null && window.citytwin.state().column === 'shaking_spread'", 60)


def test_an_outbreak_is_run_and_seen_as_curves_with_bands_and_by_zone(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=runs&layers=devices:0")
        page = seen.page
        said = httpx.post(f"{server}/api/runs", json={"scenario": EPIDEMIC}, timeout=60)
        assert said.status_code == 202, said.text
        ended(seen, said.json()["id"])
        page.locator("li", has_text="Outbreak").get_by_role("button", name="Show").first.click()
        page.get_by_text("bands hold 90 of 100 of 3 members").wait_for(timeout=60_000)
        assert page.get_by_text("New infections a day").first.is_visible()
        assert page.locator(".uplot").count() >= 4
        page.get_by_role("button", name="Ever infected").click()
        seen.until("window.citytwin.state().overlay?.column === 'zone_ever_infected_share'", 30)


STUDY = """name: Masks or schools
scenario:
  name: Outbreak
  start: now
  duration: 20 d
  every: 1 d
  seed: 1
  hazards:
    - epidemic: {disease: influenza, seeds: [{people: 30}]}
members: 2
evaluations: 4
decisions:
  masks:
    do: {at: 1 d, masks: {compliance: 0.8}}
  schools closed:
    do: {at: 1 d, school_closure: {duration: 15 d}}
objectives:
  - minimise: people_infected
  - minimise: school_days_lost
"""


def test_measures_are_searched_for_and_the_recommended_one_is_taken_as_a_scenario(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=measures&layers=devices:0")
        page = seen.page
        page.get_by_role("textbox", name="Study").fill(STUDY)
        page.get_by_role("button", name="Search", exact=True).click()
        page.get_by_role("button", name="Show", exact=True).click(timeout=240_000)
        page.get_by_role("heading", name="Recommended").wait_for()
        table = page.get_by_role("table", name="Strategies that cannot be bettered")
        assert "masks" in table.inner_text()
        assert page.evaluate("() => document.querySelector('img[alt^=\"The strategies\"]').naturalWidth") > 0
        page.get_by_role("button", name="Take the recommended scenario").click()
        page.get_by_text("Ready to run").wait_for(timeout=60_000)
