"""The server's end of a worker process: give one order, hear its news, stop it in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError, SimulationError, TwinError

PATIENCE = 1.5  # seconds that a worker has to stop by itself
LONGEST = 2**20  # bytes of one line of news

News = Callable[[float, str], None]


def failure(news: dict[str, Any]) -> TwinError:
    """The error that a worker's news tell of."""
    kinds = (InputError, MissingError, ConflictError, OutsideError, SimulationError)
    kind = next((k for k in kinds if k.__name__ == f"{str(news.get('kind')).capitalize()}Error"), OutsideError)
    return kind(
        str(news.get("message", "the worker process was stopped")), str(news.get("where", "")), str(news.get("hint", ""))
    )


async def ordered(city: Path, order: dict[str, Any], progress: News = lambda share, words: None) -> None:
    """Have one order done by a process that ends with it. Raises what the worker failed with."""
    process = Process(city)
    try:
        news = await process.order(order, progress)
    finally:
        await process.close()
    if news["news"] != "done":
        raise failure(news)


class Process:
    """One worker process, started at its first order and kept warm for the next one."""

    def __init__(self, city: Path) -> None:
        self.city = city
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def order(self, order: dict[str, Any], progress: News) -> dict[str, Any]:
        """Give an order and hear its progress until it ends: {"news": "done" | "failed" | "stopped", ...}."""
        process = await self._running()
        self._killed = False
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        while line := await process.stdout.readline():
            news: dict[str, Any] = json.loads(line)
            if news["news"] != "progress":
                return news
            progress(news["share"], news["words"])
        code = await process.wait()
        if self._killed:
            return {"news": "stopped"}
        why = "it may have run out of memory" if code == -signal.SIGKILL else "the server's log may say more"
        words = f"the worker process ended with code {code}"
        return {"news": "failed", "kind": "outside", "message": words, "where": "", "hint": why}

    async def stop_order(self) -> None:
        """Ask for the end of the order at hand; who does not listen within PATIENCE is killed."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(b'{"do": "stop"}\n')
            await process.stdin.drain()

    def kill(self) -> None:
        """End the process and its children now."""
        if self.pid is not None:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        if self._process is not None:
            await self._process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "citytwin.server.worker", str(self.city),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True, limit=LONGEST,
                )  # fmt: skip
            except OSError as error:
                raise OutsideError(f"cannot start a worker process: {error.strerror}") from error
        return self._process
