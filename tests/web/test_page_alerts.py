"""Alerts on the page: a rule opens one, the duty officer goes there and acknowledges it; a device's health is judged."""

from __future__ import annotations

import datetime as dt
import time

import httpx
from seeing import window

RULE = {
    "title": "Any stage at all",
    "on": {"table": "device", "kind": "river_stage"},
    "when": {"column": "river_level", "above": "-4 m"},
    "severity": "severe",
    "message": "{key} reads {value}",
}


def device_of(seen, kind):
    said = seen.ask("live/devices")
    return said["keys"][said["kind"].index(said["kinds"].index(kind))]


def choose(page, key):
    page.fill("#search", key)
    page.locator("[role=listbox] [role=option]").first.wait_for()
    page.press("#search", "Enter")


def test_an_alert_comes_to_the_page_by_itself_and_is_acknowledged_there(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=alerts")
        page = seen.page
        key = device_of(seen, "river_stage")
        made = httpx.post(f"{server}/api/rules/any_stage", json={"who": "Duty officer", "rule": RULE}, timeout=30)
        assert made.status_code == 201, made.text
        try:
            line = f'{{"device": "{key}", "value": 1.5}}'
            httpx.post(f"{server}/api/readings", content=line, headers={"content-type": "application/x-ndjson"})
            alert = (
                page.get_by_role("list", name="Open alerts").get_by_role("listitem").filter(has_text="Any stage at all").first
            )
            alert.wait_for(timeout=60_000)
            page.get_by_role("textbox", name="Your name").fill("Duty officer")
            alert.get_by_role("button", name="Acknowledge", exact=True).click()
            page.get_by_text("acknowledged by Duty officer").first.wait_for()
            found = [
                a for a in seen.ask("alerts?state=open")["alerts"] if a["rule"] == "any_stage" and a["state"] == "acknowledged"
            ]
            assert [a["acknowledged_by"] for a in found] == ["Duty officer"]
            page.get_by_role("tab", name="Journal").click()
            page.get_by_role("list", name="Journal").get_by_text("Duty officer").first.wait_for()
            page.get_by_role("tab", name="Rules").click()
            page.get_by_role("list", name="Rules").get_by_text("Any stage at all").wait_for()
        finally:
            httpx.delete(f"{server}/api/rules/any_stage", params={"who": "Duty officer"}, timeout=30)


def test_a_reading_that_was_not_believed_is_believed_when_a_person_says_so(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        page = seen.page
        key = device_of(seen, "reservoir_level")
        told = seen.ask(f"things/device/{key}")["state"].get("reservoir_level", {}).get("time")
        last = dt.datetime.fromisoformat(told).timestamp() if told else 0.0
        begin = max(time.time() - 40, last + 0.1)  # after what its simulated fellow said: what comes late is not judged
        lines = "\n".join(f'{{"device": "{key}", "value": {v}, "time": {begin + s}}}' for v, s in ((3.0, 0.0), (19.0, 0.1)))
        httpx.post(f"{server}/api/readings", content=lines, headers={"content-type": "application/x-ndjson"})
        choose(page, key)
        box = page.locator("details").filter(has_text="Health")
        box.locator("summary").wait_for()
        if not box.evaluate("e => e.open"):
            box.locator("summary").click()
        box.get_by_role("textbox", name="Your name").fill("Duty officer")
        box.get_by_role("button", name="Believe").first.click(timeout=60_000)
        box.get_by_text("Duty officer: confirm").wait_for()
        box.get_by_role("list", name="Confirmed").get_by_text("was").first.wait_for(timeout=60_000)
        assert [j["verdict"] for j in seen.ask(f"readings/judgements?device={key}")["judgements"]] == ["confirm"]
        box.get_by_role("button", name="Into maintenance").click()
        box.get_by_text("Duty officer works on it").wait_for()
        seen.until("window.citytwin.state().counts.maintenance === 1", 30)
