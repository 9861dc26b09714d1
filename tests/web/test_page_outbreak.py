"""The live epidemic forecast on the page: R(t), infections and weeks ahead with bands, and its zones on the map.

The forecast itself is computed, from made readings of the served city's zones; only the history that it would need is not there
in a server that has just started, so the browser is given the answer.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from seeing import window

from citytwin.city import read_city
from citytwin.forecast.city import Disease, assimilate, described
from validation.epidemic_city_forecast import world


def test_the_live_epidemic_forecast_is_shown_with_bands_and_by_zone_on_the_map(browser, server, made_city):
    with window(browser, server) as seen:
        keys = read_city(made_city).table("zone")["key"].tolist()
        readings, _, _ = world(1, days=60, zones=len(keys))
        document = described(assimilate(replace(readings, zones=keys), Disease(particles=200)))
        seen.page.route("**/api/forecasts/epidemic", lambda route: route.fulfill(json=json.loads(json.dumps(document))))
        seen.open("#panel=measures&layers=devices:0")
        page = seen.page
        before = seen.pixels()
        page.get_by_text("The epidemic now and its next four weeks").click()
        page.get_by_text("one infected person infects").wait_for(timeout=30_000)
        assert page.locator("details .uplot").count() == 4
        page.get_by_label("Zone of the forecast").select_option(keys[0])
        page.get_by_role("button", name="Infections today").click()
        page.get_by_text("Infections today").nth(1).wait_for()
        page.wait_for_timeout(1500)
        assert (np.abs(seen.pixels() - before).max(axis=2) > 8).mean() > 0.08


def test_a_city_without_case_readings_says_so(browser, server):
    with window(browser, server) as seen:
        seen.page.route("**/api/forecasts/epidemic", lambda route: route.continue_())
        seen.open("#panel=measures&layers=devices:0")
        seen.page.get_by_text("The epidemic now and its next four weeks").click()
        seen.page.locator("details [role=alert], details .uplot").first.wait_for(timeout=60_000)
        seen.errors.clear()  # the browser notes an answer of 400 by itself
