"""The door as a child process: started, watched, adopted, like the broker. It outlives a twin that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from citytwin.errors import ConflictError, OutsideError
from citytwin.io.feeds.child import Child, answers, any_port, end, holder_of, is_free, write_whole

START_SECONDS = 20.0


class DoorProcess(Child):
    """The door whose settings are in `folder`, on `host`. `port` is where devices connect."""

    name, note, settings = "the MQTT door", "door.json", "door.json"

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        super().__init__(folder)
        self.host = host
        self._said: dict[str, Any] = {}

    def check(self, port: int) -> None:
        """Raises ConflictError where `port` is taken by anybody but a door of ours."""
        left = self._left()
        ours = left is not None and self._is_ours(left["pid"]) and left["port"] == port
        if port and not ours and not is_free(self.host, port):
            raise ConflictError(f"port {port} is taken{holder_of(port)}", "MQTT", "choose another with --mqtt-port")

    async def start(self, port: int, nats_port: int, upstream_port: int, patterns: list[str]) -> None:
        """Adopt the door that still runs here with these settings, or start one; `port` 0 takes any free port.

        Raises ConflictError where the port is taken, OutsideError where the door does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.check(port)
        ports = {"port": port, "nats_port": nats_port, "upstream_port": upstream_port}
        self._said = {"host": self.host, **ports, "patterns": patterns}
        left = self._left()
        if left is not None and self._is_ours(left["pid"]):
            self._pid = left["pid"]
            same = {**left, "pid": 0} == {**self._said, "port": port or left["port"], "pid": 0}
            if same and await answers(self.host, left["port"]):
                self._said, self.port, self.adopted = {**self._said, "port": left["port"]}, left["port"], True
                return
            await end(self._pid)
        for last in (False, False, True):
            self.port = self._said["port"] = port or any_port(self.host)
            try:
                return await self.run()
            except OutsideError:  # somebody may have taken a port that was free a moment ago
                if last or port or self.alive:
                    raise

    async def run(self) -> None:
        """Start the process on its port and wait until it answers."""
        path = self.folder / self.note
        write_whole(path, json.dumps({**self._said, "pid": 0}))
        with (self.folder / "log.txt").open("wb") as words:
            self._child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "citytwin.io.feeds.door", str(path)], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=words, start_new_session=True,
            )  # fmt: skip
        self._pid = self._child.pid
        await self._until(lambda: answers(self.host, self.port), START_SECONDS)
        write_whole(path, json.dumps({**self._said, "pid": self._pid}))

    def _left(self) -> dict[str, Any] | None:
        """What is written down of the door that a twin before us ran here."""
        try:
            found = json.loads((self.folder / self.note).read_text(encoding="utf-8"))
            return found if isinstance(found["pid"], int) and isinstance(found["port"], int) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
