"""What a duty officer steers from the page: a device is tried on the twin, told, and answers."""

from __future__ import annotations

import re

from seeing import window


def device_of(seen, kind):
    said = seen.ask("live/devices")
    return said["keys"][said["kind"].index(said["kinds"].index(kind))]


def test_a_signal_plan_is_tried_sent_and_answered_on_the_page(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        key = device_of(seen, "signal_controller")
        page = seen.page
        page.fill("#search", key)
        page.locator("[role=listbox] [role=option]").first.wait_for()
        page.press("#search", "Enter")
        box = page.get_by_role("region", name="Commands")
        box.get_by_label("Set plan").select_option(label="4 emergency route along the main road")
        box.get_by_role("textbox", name="Your name").fill("Duty officer")
        box.get_by_role("combobox", name="Your role").fill("gardener")
        box.get_by_role("button", name="Try on the twin").click()
        box.get_by_text('role "gardener" may not').wait_for()
        assert box.get_by_role("button", name=re.compile("^Send")).count() == 0
        box.get_by_role("combobox", name="Your role").fill("traffic")
        box.get_by_role("button", name="Try on the twin").click()
        box.get_by_role("button", name=re.compile("^Send: set plan 4")).click()
        box.locator(".standing.confirmed, .standing.refused, .standing.silent").first.wait_for(timeout=30_000)
        found = seen.ask(f"commands?device={key}")["commands"]
        assert [(c["command"], c["value"], c["actor"]) for c in found] == [("set_plan", 4, "Duty officer")]
        shown = box.locator(".standing").first.inner_text()
        assert shown.startswith(found[0]["standing"])
