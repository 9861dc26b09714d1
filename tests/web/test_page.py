"""The page in a real browser against a real server: what a duty officer does with it."""

from __future__ import annotations

import numpy as np
import pytest
from seeing import Window, window

WALL = """name: With a wall
start: now
duration: 20 min
every: 5 min
hazards:
  - flood: {{rain: {{intensity: 90 mm/h, duration: 20 min}}}}
interventions:
  - {{at: 0 min, wall: {{along: [[{w}, {y}], [{e}, {y}]], height: 3 m}}}}
"""


def changed(before: np.ndarray, after: np.ndarray) -> float:
    """Share of pixels that look different."""
    return float((np.abs(before - after).max(axis=2) > 12).mean())


@pytest.fixture(scope="module")
def flood(browser, server) -> dict[str, str]:
    """Writes a flood with the form, runs it, and hands over its id and the address at which the page showed it."""
    with window(browser, server) as seen:
        seen.open("#panel=scenario&layers=devices:0")
        page = seen.page
        page.get_by_role("textbox", name="Name", exact=True).fill("Test flood")
        page.get_by_role("textbox", name="Lasts").fill("20 min")
        page.get_by_role("textbox", name="Intensity").fill("90 mm/h")
        page.get_by_role("textbox", name="Duration", exact=True).fill("20 min")
        page.get_by_text("Ready to run").wait_for()
        page.get_by_role("button", name="Run", exact=True).click()
        seen.until("document.querySelector('progress') !== null || window.citytwin.state().run !== ''", 30)
        seen.until("window.citytwin.state().raster !== null", 240)
        page.wait_for_timeout(600)
        return {"id": seen.state()["run"], "hash": page.evaluate("() => location.hash")}


def test_the_page_opens_without_complaint_and_asks_nobody_else(browser, server):
    with window(browser, server) as seen:
        seen.open()
        assert seen.hosts == {server.removeprefix("http://")}
        answer = seen.page.request.get(server)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy


def test_the_base_map_is_drawn_from_the_citys_own_tables(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none&layers=devices:0")
        full = seen.pixels()
        ground = np.array([16, 22, 28])
        assert (np.abs(full - ground).max(axis=2) > 8).mean() > 0.1
        seen.page.evaluate(
            "() => { const map = window.citytwin.map; for (const layer of map.getStyle().layers)"
            " if (layer.metadata?.group) map.setLayoutProperty(layer.id, 'visibility', 'none'); }"
        )
        assert changed(full, seen.pixels()) > 0.1


def test_devices_are_kept_current_by_the_live_stream(browser, server):
    with window(browser, server) as seen:
        seen.open()
        assert seen.state()["devices"] == len(seen.ask("live/devices")["keys"])
        first = seen.state()["updates"]
        seen.until(f"window.citytwin.state().updates > {first} + 5", 90)
        assert seen.state()["counts"]["online"] > 0
        assert seen.state()["resyncs"] == 0


def test_a_lost_connection_is_said_and_mended(browser, server):
    with window(browser, server) as seen:
        sockets = []

        def pass_on(socket):
            sockets.append(socket)
            socket.connect_to_server()

        seen.page.route_web_socket("**/api/live", pass_on)
        seen.open()
        sockets[-1].close()
        seen.page.get_by_text("Connection lost.").wait_for(timeout=5000)
        seen.until("window.citytwin.state().connected", 20)
        seen.page.get_by_text("Connection lost.").wait_for(state="detached", timeout=5000)
        first = seen.state()["updates"]
        seen.until(f"window.citytwin.state().updates > {first}", 90)


def test_a_wrong_quantity_is_told_at_its_entry(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=scenario")
        field = seen.page.get_by_role("textbox", name="Intensity")
        field.fill("60 mm")
        seen.until("document.querySelector('input[aria-invalid=\"true\"]') !== null", 20)
        assert field.get_attribute("aria-invalid") == "true"
        assert seen.page.get_by_role("button", name="Run", exact=True).is_disabled()


def test_a_wall_is_drawn_on_the_map_and_the_yaml_says_it(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=scenario")
        page = seen.page
        page.get_by_role("button", name="Raise a wall").click()
        page.get_by_role("button", name="Draw").click()
        page.mouse.click(700, 300)
        page.mouse.click(820, 340)
        page.keyboard.press("Enter")
        page.get_by_text("Ready to run").wait_for()
        page.get_by_role("tab", name="YAML").click()
        text = page.get_by_label("Scenario as YAML").input_value()
        assert "wall:" in text
        page.get_by_label("Scenario as YAML").fill(text.replace("height: 1 m", "height: 2 m"))
        page.get_by_role("tab", name="Form").click()
        assert page.get_by_role("textbox", name="Height").input_value() == "2 m"


def test_water_moves_on_the_map_as_time_goes_on(browser, server, flood):
    with window(browser, server) as seen:
        seen.open(flood["hash"])
        seen.until("window.citytwin.state().raster !== null")
        seen.page.keyboard.press("Home")
        dry = seen.pixels()
        seen.page.keyboard.press("End")
        wet = seen.pixels()
        assert changed(dry, wet) > 0.01
        seen.page.keyboard.press("Home")
        assert changed(dry, seen.pixels()) < 0.003


def test_the_impact_shown_is_the_impact_of_the_result(browser, server, flood):
    with window(browser, server) as seen:
        seen.open(flood["hash"])
        impact = seen.ask(f"runs/{flood['id']}")["result"]["impact"]
        seen.page.locator("[data-figure]").first.wait_for()
        shown = seen.page.evaluate(
            "() => Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
            ".map((e) => [e.dataset.figure, Number(e.dataset.value)]))"
        )
        totals = {k: v for k, v in impact.items() if isinstance(v, int | float)}
        assert totals
        assert {k: shown[k] for k in totals} == pytest.approx(totals)
        nobody = [k for k, v in impact.items() if v is None]
        assert all(k not in shown for k in nobody)
        if nobody:
            assert seen.page.get_by_role("heading", name="Not simulated").is_visible()


def test_a_simulated_column_of_any_table_can_be_laid_over_the_map(browser, server, flood):
    with window(browser, server) as seen:
        seen.open(flood["hash"] + "&overlay=building.flood_depth")
        seen.until("window.citytwin.state().overlay?.column === 'flood_depth'")
        seen.page.get_by_text("Building: flood depth").first.wait_for()
        rows = seen.ask(f"runs/{flood['id']}/tables/building?format=columns")
        deep = [k for k, v in zip(rows["key"], rows["columns"]["flood_depth"], strict=True) if v]
        assert deep
        place = f"{{source: 'city', sourceLayer: 'building', id: '{deep[0]}'}}"
        seen.until(f"window.citytwin.map.getFeatureState({place}).mark >= 0", 20)


def test_two_runs_are_compared_in_numbers_and_on_the_map(browser, server, flood):
    with window(browser, server) as seen:
        seen.open("#panel=scenario&layers=devices:0")
        page = seen.page
        w, s, e, n = seen.ask("city")["bbox"]
        page.get_by_role("tab", name="YAML").click()
        page.get_by_label("Scenario as YAML").fill(WALL.format(w=w + 0.3 * (e - w), e=w + 0.7 * (e - w), y=(s + n) / 2))
        page.get_by_text("Ready to run").wait_for()
        page.get_by_role("button", name="Run", exact=True).click()
        seen.until("window.citytwin.state().raster !== null", 240)
        other = seen.state()["run"]
        page.get_by_role("listitem").filter(has_text="Test flood").get_by_role("button", name="Compare").click()
        seen.until("window.citytwin.state().against !== ''")
        page.locator("[data-compare]").first.wait_for()
        a, b = (seen.ask(f"runs/{i}")["result"]["impact"] for i in (other, flood["id"]))
        row = page.locator('[data-compare="people_exposed"]').inner_text()
        numbers = row.replace("\u202f", "").replace("−", "-").split("\t")
        assert float(numbers[1]) == pytest.approx(a["people_exposed"], abs=0.5)
        assert float(numbers[2]) == pytest.approx(b["people_exposed"], abs=0.5)
        modes = []
        for _ in range(4):
            modes.append(seen.state()["mode"])
            page.keyboard.press("c")
        assert sorted(modes) == ["a", "b", "difference", "swipe"]


def test_the_keyboard_reaches_everything(browser, server, flood):
    with window(browser, server) as seen:
        seen.open(flood["hash"])
        seen.until("window.citytwin.state().raster !== null")
        key = seen.page.keyboard.press
        key("Home")
        start = seen.state()["at"]
        key(".")
        assert seen.state()["at"] - start == 300_000
        key("Space")
        seen.until("window.citytwin.state().playing", 5)
        seen.until(f"window.citytwin.state().at > {start} + 310000", 20)
        key("Space")
        key("n")
        assert seen.state()["live"]
        for letter, panel in (("l", "layers"), ("w", "scenario"), ("r", "runs"), ("d", "quality")):
            key("Escape")
            if seen.state()["panel"] != panel:
                key(letter)
            assert seen.state()["panel"] == panel
        key("/")
        assert seen.page.evaluate("() => document.activeElement.id") == "search"
        key("Escape")
        key("?")
        assert seen.page.get_by_role("heading", name="Keyboard").is_visible()


def test_what_is_found_is_chosen_with_its_relations_and_chart(browser, server):
    with window(browser, server) as seen:
        seen.open("#panel=none")
        device = seen.ask("live/devices")["keys"][0]
        seen.page.fill("#search", device)
        seen.page.get_by_role("option").first.wait_for()
        seen.page.keyboard.press("Enter")
        seen.until("window.citytwin.state().selected?.table === 'device'")
        seen.page.get_by_role("group", name="Stretch of time").wait_for()


def test_the_address_restores_what_was_seen(browser, server, flood):
    with window(browser, server) as seen:
        seen.open(flood["hash"])
        seen.until("window.citytwin.state().raster !== null")
        seen.page.keyboard.press("Home")
        seen.page.keyboard.press(".")
        seen.page.evaluate("() => window.citytwin.map.jumpTo({zoom: 15.25, bearing: 30})")
        seen.page.wait_for_timeout(900)
        before, hash_ = seen.state(), seen.page.evaluate("() => location.hash")
    with window(browser, server) as again:
        again.open(hash_)
        again.until("window.citytwin.state().raster !== null")
        again.page.wait_for_timeout(500)
        after = again.state()
        assert [after[k] for k in ("run", "column", "panel")] == [before[k] for k in ("run", "column", "panel")]
        assert abs(after["at"] - before["at"]) < 1000
        assert again.page.evaluate("() => window.citytwin.map.getZoom()") == pytest.approx(15.25, abs=0.01)
        assert again.page.evaluate("() => window.citytwin.map.getBearing()") == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize(("scheme", "brightest", "darkest"), [("dark", 70, 0), ("light", 255, 185)])
def test_the_page_follows_the_systems_theme_and_the_key_changes_it(browser, server, scheme, brightest, darkest):
    with window(browser, server, scheme=scheme) as seen:
        seen.open("#panel=none&layers=devices:0")
        assert darkest <= np.median(seen.pixels()) <= brightest
        seen.page.keyboard.press("t")
        seen.page.wait_for_timeout(600)
        assert not darkest <= np.median(seen.pixels()) <= brightest


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 800), (800, 900)])
def test_nothing_lies_beyond_the_edge_and_every_control_has_a_name(browser, server, width, height):
    with window(browser, server, width, height) as seen:
        seen.open("#panel=scenario")
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") == width
        nameless = seen.page.evaluate(
            "() => [...document.querySelectorAll('button, input, select, textarea, a')].filter((e) => !(e.textContent.trim()"
            " || e.ariaLabel || e.title || e.labels?.length)).map((e) => e.outerHTML.slice(0, 120))"
        )
        assert nameless == []


CONTRAST = """() => {
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).map((v) => linear(Number(v)));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.documentElement);
  const probe = document.body.appendChild(document.createElement('i'));
  const of = (name) => { probe.style.color = style.getPropertyValue(name); return light(getComputedStyle(probe).color); };
  const inks = ['text', 'soft', 'faint', 'accent', 'measured', 'forecast', 'second', 'bad', 'warn', 'good'];
  const out = {};
  for (const ink of inks) for (const paper of ['panel-solid', 'raised']) {
    const [a, b] = [of('--' + ink), of('--' + paper)].sort((x, y) => y - x);
    out[ink + ' on ' + paper] = (a + 0.05) / (b + 0.05);
  }
  probe.remove();
  return out;
}"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_words_are_readable_in_both_themes(browser, server, scheme):
    with window(browser, server, scheme=scheme) as seen:
        seen.open()
        weak = {pair: round(ratio, 2) for pair, ratio in seen.page.evaluate(CONTRAST).items() if ratio < 4.5}
        assert weak == {}


def test_the_window_helper_reports_what_went_wrong(browser, server):
    seen = Window(browser.new_page(), server)
    seen.page.goto(server)
    seen.page.evaluate("() => console.error('seen')")
    with pytest.raises(AssertionError, match="not within"):
        seen.until("false", 0.3)
    assert seen.errors == ["seen"]
    seen.page.close()
