"""What a person on duty leans on: the right thing is chosen, the past is the past, a rule is made, nothing is out of reach."""

from __future__ import annotations

import pytest
from seeing import window

FOUND = "[role=listbox] [role=option]"


def device_of(seen, kind):
    said = seen.ask("live/devices")
    return said["keys"][said["kind"].index(said["kinds"].index(kind))]


def test_enter_takes_what_is_typed_not_the_answer_to_earlier_words(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        first, second = device_of(seen, "river_stage"), device_of(seen, "rain_gauge")
        page = seen.page
        page.fill("#search", first)
        page.locator(FOUND).first.wait_for()
        page.fill("#search", second)
        page.press("#search", "Enter")
        seen.until("window.citytwin.state().selected !== null", 10)
        assert seen.state()["selected"] == {"table": "device", "key": second}


def test_the_panel_of_a_device_shows_the_moment_that_is_shown(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        key = device_of(seen, "river_stage")
        seen.until(f"fetch('api/things/device/{key}') && window.citytwin.state().counts.online > 0", 60)
        line = f'{{"device": "{key}", "value": 1.5}}'
        seen.page.request.post(f"{server}/api/readings", data=line, headers={"content-type": "application/x-ndjson"})
        page = seen.page
        page.fill("#search", key)
        page.press("#search", "Enter")
        shown = page.locator("aside dl.states")
        shown.get_by_text("River level").wait_for(timeout=30_000)
        page.get_by_role("slider", name="Shown moment").focus()
        page.keyboard.press("PageDown")
        page.keyboard.press("PageDown")
        seen.until("window.citytwin.state().counts.online === 0", 20)
        shown.get_by_text("River level").wait_for(state="detached", timeout=5000)
        page.keyboard.press("n")
        shown.get_by_text("River level").wait_for(timeout=10_000)


def test_playing_the_past_shows_it_however_slowly_it_is_answered(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        seen.until("window.citytwin.state().counts.online > 0", 60)

        def slowly(route):
            seen.page.wait_for_timeout(150)
            route.continue_()

        seen.page.route("**/api/live/snapshot?at=*", slowly)
        seen.page.keyboard.press("Space")
        seen.until("window.citytwin.state().playing && window.citytwin.state().counts.online === 0", 15)
        seen.page.keyboard.press("n")
        seen.until("!window.citytwin.state().playing && window.citytwin.state().counts.online > 0", 15)
        seen.page.unroute_all(behavior="ignoreErrors")


def test_a_rule_is_made_on_the_page_finds_something_and_goes(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=alerts")
        page = seen.page
        page.get_by_role("textbox", name="Your name").fill("Duty officer")
        page.get_by_role("tab", name="Rules").click()
        page.get_by_role("button", name="New rule").click()
        form = page.get_by_role("form", name="New rule")
        form.get_by_label("What people call it").fill("Gauge above the datum")
        form.get_by_label("Devices").select_option(label="River stage")
        form.get_by_role("textbox", name="River level is").fill("12 parsec")
        form.get_by_role("alert").get_by_text("river_level is never above").wait_for(timeout=10_000)
        assert form.get_by_role("button", name="Make it").is_disabled()
        form.get_by_role("textbox", name="River level is").fill("-4")
        form.get_by_text("It looks at").wait_for(timeout=10_000)
        form.get_by_role("button", name="Make it").click()
        rule = page.get_by_role("list", name="Rules").get_by_role("listitem").filter(has_text="Gauge above the datum")
        rule.wait_for()
        made = seen.ask("rules/gauge_above_the_datum")["rule"]
        assert made["when"] == {"column": "river_level", "above": "-4 m"}
        key = device_of(seen, "river_stage")
        line = f'{{"device": "{key}", "value": 1.5}}'
        page.request.post(f"{server}/api/readings", data=line, headers={"content-type": "application/x-ndjson"})
        page.get_by_role("tab", name="Open").click()
        alert = page.get_by_role("list", name="Open alerts").get_by_role("listitem").filter(has_text="Gauge above the datum")
        alert.first.wait_for(timeout=60_000)
        page.get_by_role("tab", name="Rules").click()
        rule.get_by_role("button", name="Delete rule gauge_above_the_datum").click()
        rule.get_by_role("button", name="Really delete").click()
        rule.wait_for(state="detached")
        page.get_by_role("tab", name="Open").click()
        alert.first.wait_for(state="detached", timeout=20_000)


def test_what_is_being_filled_in_stays_while_the_device_goes_on(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        page = seen.page
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url) if "/api/things/device/" in r.url and "history" not in r.url else None)
        page.fill("#search", device_of(seen, "signal_controller"))
        page.press("#search", "Enter")
        plan = page.get_by_role("region", name="Commands").get_by_label("Set plan")
        plan.select_option(index=2)
        chosen = plan.input_value()
        before = len(asked)
        with page.expect_response(lambda r: r.url in asked and len(asked) > before, timeout=15_000):
            pass
        page.wait_for_timeout(500)
        assert plan.input_value() == chosen


@pytest.mark.parametrize("hazard", ["Earthquake", "Epidemic"])
def test_a_hazard_that_is_added_is_ready_to_run(browser, server, hazard):
    with window(browser, server) as seen:
        seen.open("#panel=scenario")
        page = seen.page
        page.get_by_text("Ready to run").wait_for()
        page.get_by_role("button", name="Remove flood").click()
        page.get_by_role("button", name=hazard, exact=True).click()
        page.get_by_role("heading", name=hazard).first.wait_for()
        page.get_by_text("Ready to run").wait_for(timeout=10_000)


def test_controls_do_not_stand_inside_each_other(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=layers")
        nested = "summary input, summary button, button button, button input, a button, label button"
        assert seen.page.locator(nested).count() == 0
        department = seen.page.get_by_role("button", name="kinds of Water")
        department.focus()
        seen.page.keyboard.press("Enter")
        seen.page.get_by_role("checkbox", name="River stage").wait_for()


def test_on_a_telephone_nothing_lies_beyond_the_edge(browser, server):
    with window(browser, server, 390, 844) as seen:
        seen.open()
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") == 390
        help_ = seen.page.get_by_role("button", name="Keyboard and help").bounding_box()
        assert help_ is not None
        assert help_["x"] + help_["width"] <= 390
