"""The simulated devices of a demo, in a process that ends when the server's does.

`python -m citytwin.cli.fleet CITY HOST:PORT` publishes until its stdin is closed.
"""

from __future__ import annotations

import os
import sys
import threading

from citytwin.cli import main


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # returns when the server closes its end, or dies
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main(["devices", "simulate", sys.argv[1], "--mqtt", sys.argv[2]]))
