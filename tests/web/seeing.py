"""What a test can see of the page: its state, its pixels, what went wrong."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

READY = "window.citytwin?.ready && window.citytwin.map.areTilesLoaded() && window.citytwin.state().devices > 0"


class Window:
    """One open page with what it complained about and what it asked for."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("request", lambda r: self.hosts.add(r.url.split("/")[2]) if r.url.startswith(("http", "ws")) else None)

    def open(self, hash_: str = "") -> Window:
        """Go to the page and wait for city, tiles and devices."""
        self.page.goto(f"{self.server}/{hash_}")
        self.until(READY)
        return self

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait until a JavaScript expression holds (polled: the page's content security policy forbids the other way)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.page.evaluate(f"() => Boolean({expression})"):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"not within {seconds} s: {expression}; state {self.state()}; errors {self.errors}")

    def state(self) -> dict[str, Any]:
        """What the page says about itself."""
        return dict(self.page.evaluate("() => window.citytwin?.state?.() ?? {}"))

    def pixels(self) -> np.ndarray:
        """The map as it is painted: height, width, 3."""
        self.page.wait_for_timeout(400)
        picture = self.page.locator("main").screenshot()
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

    def ask(self, path: str) -> Any:
        """The server's own answer, not through the page."""
        return httpx.get(f"{self.server}/api/{path}", timeout=30).raise_for_status().json()


@contextmanager
def window(browser: Browser, server: str, width: int = 1280, height: int = 800, scheme: str = "dark") -> Iterator[Window]:
    """A fresh profile with one page; it must not have complained at the end."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    try:
        seen = Window(context.new_page(), server)
        yield seen
        assert seen.errors == []
    finally:
        context.close()
