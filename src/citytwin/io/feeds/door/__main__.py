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


async def serve(said: dict[str, Any]) -> None:
    """Serve until told to end."""
    ended = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    await Door(said["nats_port"], said["upstream_port"], said["patterns"]).run(said["host"], said["port"], ended)


def main() -> None:
    """Read the settings, serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    said = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(said))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(said))


if __name__ == "__main__":
    main()
