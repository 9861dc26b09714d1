"""The process of a door: `python -m citytwin.io.feeds.door door.json`, the file that `DoorProcess` writes."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from citytwin.io.feeds.door.door import Door

LOOK_EVERY = 2.0  # seconds


async def serve(path: Path) -> None:
    """Serve as the settings in `path` say until told to end, or until they are gone: no twin would find this door again."""
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ended = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    watch = asyncio.create_task(_until_gone(path, ended))
    await Door(said["nats_port"], said["upstream_port"], said["patterns"]).run(said["host"], said["port"], ended)
    watch.cancel()


async def _until_gone(path: Path, ended: asyncio.Event) -> None:
    while path.exists():
        await asyncio.sleep(LOOK_EVERY)
    ended.set()


def main() -> None:
    """Serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    path = Path(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(path))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(path))


if __name__ == "__main__":
    main()
