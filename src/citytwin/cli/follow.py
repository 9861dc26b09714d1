"""citytwin devices follow: hand the vehicle positions of a GTFS-realtime feed to a served twin, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx

from citytwin.cli.served import ServedTwin, served_at
from citytwin.cli.show import say
from citytwin.errors import InputError, OutsideError

PATIENCE = 30.0
MOST_BYTES = 8 << 20  # what the server takes


@click.command()
@click.argument("feed")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where the twin is served.")
@click.option("--every", type=click.FloatRange(min=1), default=15.0, show_default=True, help="Seconds between looks.")
@click.option("--times", type=click.IntRange(1), help="Look so often, then stop; without it only Ctrl-C ends it.")
def follow(feed: str, url: str, every: float, times: int | None) -> None:
    """Hand the vehicle positions of FEED, a GTFS-realtime address or file, to the twin served at --url.

    A vehicle is the device whose key is its id. A look that fails is said and tried again at the next.
    """
    looked = accepted = 0
    with served_at(url) as twin, httpx.Client(timeout=PATIENCE, follow_redirects=True) as client:
        look = reader(feed, client)
        while times is None or looked < times:
            if looked:
                time.sleep(every)
            looked += 1
            try:
                accepted += _hand_over(look, twin)
            except OutsideError as error:
                if looked == times:
                    raise
                say(f"{error}")
    print(f"{accepted} positions accepted in {looked} looks")


def _hand_over(look: Callable[[], bytes], twin: ServedTwin) -> int:
    answer: dict[str, Any] = twin.post_bytes("/api/readings", look(), "application/x-protobuf")
    refused = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in answer["refused"].items())
    say(f"{answer['accepted']} positions{f', refused: {refused}' if refused else ''}")
    return int(answer["accepted"])


def reader(feed: str, client: httpx.Client) -> Callable[[], bytes]:
    """What gives the newest message of the feed. Raises InputError where it is neither an address nor a file."""
    if feed.startswith(("http://", "https://")):
        return lambda: _get(feed, client)
    path = Path(feed)
    if not path.is_file():
        raise InputError(f'"{feed}" is neither an address (http://...) nor a file', "FEED")
    return path.read_bytes


def _get(feed: str, client: httpx.Client) -> bytes:
    try:
        answer = client.get(feed)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OutsideError(f"the feed does not answer: {error}".splitlines()[0], feed) from error
    if len(answer.content) > MOST_BYTES:
        raise OutsideError(f"the feed sends {len(answer.content)} bytes", feed, f"at most {MOST_BYTES} are read")
    return answer.content
