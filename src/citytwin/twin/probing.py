"""A look at whether the log still takes messages.

JetStream remembers a write that failed: once the disk was full, its stream refuses everything until the broker is started
again, also when there is room (seen with nats-server 2.15). Where nothing came for a while, a probe is put into the log; if it
is refused again and again while the disk has room, the broker is ended, and whoever watches it brings it up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from citytwin.errors import OutsideError
from citytwin.io.feeds.log import Log

PROBE = "readings.probe"  # a subject that nobody reads
SECONDS = 2.0
ROOM = 32 << 20  # bytes that must be free before a new start is tried
REFUSALS = 2

log = logging.getLogger("citytwin.twin")


async def keep_storing(line: Log, folder: Path, read_to: Callable[[], int], pid: Callable[[], int]) -> None:
    """For ever: probe `line` where nothing was read since the last look; end the broker `pid` that refuses without cause."""
    seen, refused = -1, 0
    while True:
        await asyncio.sleep(SECONDS)
        now = read_to()
        if now != seen:
            seen, refused = now, 0
            continue
        try:
            await line.append(PROBE, b"?")
            refused = 0
        except OutsideError as error:
            refused += 1
            if refused >= REFUSALS and shutil.disk_usage(folder).free > ROOM:
                log.warning("the broker is started again, it stores nothing although there is room: %s", error)
                if (process := pid()) > 0:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGTERM)
                refused = 0
                await asyncio.sleep(5 * SECONDS)
