"""A real server on a made city, and a headless Chromium that looks at its page."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

STATIC = Path(__file__).parents[2] / "src" / "citytwin" / "server" / "static" / "index.html"
PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
CHROMIUM = next((place for place in PLACES if Path(place).exists()), None)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def server(made_city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `citytwin demo` on a copy of the made city, with its simulated devices, on a free port."""
    if not STATIC.is_file():
        pytest.skip("the page is not built: make setup")
    folder = tmp_path_factory.mktemp("page") / "city"
    shutil.copytree(made_city, folder)
    words = folder.parent / "server.log"
    with words.open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "citytwin"), "demo", "--port", "0", "--mqtt-port", "0", "--folder", str(folder)],
            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            yield _address(process, words)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[bytes], words: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        said = words.read_text(errors="replace")
        found = re.search(r"http://[^\s:]+:\d+", said)
        if found and "base map is ready" in said:
            return found[0].replace("localhost", "127.0.0.1")
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{words.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    """Chromium with software WebGL."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
