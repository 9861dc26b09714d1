"""The line to devices: commands go out and answers come back over the broker that devices are connected to anyway.

A device subscribes to `command/<kind>/<key>` and answers on `answer/<kind>/<key>`; both carry JSON:

    {"id": "5f0c...", "command": "set_opening", "value": 0.4, "until": 1763729100.0}
    {"id": "5f0c...", "ok": true, "value": 0.4}        or  {"id": "5f0c...", "ok": false, "error": "motor blocked"}

A command may arrive more than once (the twin repeats it until it is answered): a device does it once and answers each time.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from citytwin.errors import OutsideError
from citytwin.incidents.command import Command
from citytwin.jsonable import NOT_JSON

COMMAND, ANSWER = "command", "answer"
MOST_ANSWER = 4096  # bytes
PATIENCE = 5.0

log = logging.getLogger("citytwin.channels")


class Said(msgspec.Struct):
    """What a device answers."""

    id: str
    ok: bool
    value: float | str | None = None
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer, with the topic it came under (its kind and device key are not checked yet)."""

    topic: str
    said: Said


def topic_of(what: str, kind: str, device: str) -> str:
    """The MQTT topic of commands or answers of one device."""
    return f"{what}/{kind}/{device}"


def subject_of(topic: str) -> str:
    """The NATS subject that the broker's MQTT door maps `topic` to."""
    return topic.replace(".", "\0").replace("/", ".").replace("\0", "//")


def _topic(subject: str) -> str:
    return subject.replace("//", "\0").replace(".", "/").replace("\0", ".")


class DeviceLine:
    """A connection to the broker at a loopback port; `answered` is called with each answer, in the event loop."""

    def __init__(self, answered: Callable[[Answer], None]) -> None:
        self.answered = answered
        self.unreadable = 0
        self._client: Client | None = None

    async def open(self, port: int) -> None:
        """Connect and listen for answers. Raises OutsideError."""
        try:
            self._client = await nats.connect(
                f"nats://127.0.0.1:{port}", connect_timeout=PATIENCE, max_reconnect_attempts=-1, reconnect_time_wait=0.2,
                error_cb=_quiet, name="citytwin-commands",
            )  # fmt: skip
            await self._client.subscribe(f"{ANSWER}.>", cb=self._hear)
            await self._client.flush(int(PATIENCE))
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise OutsideError(f"the broker does not answer: {error}", f"127.0.0.1:{port}") from error

    async def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.close()
            self._client = None

    async def send(self, command: Command) -> None:
        """Put a command on the line; whether it arrived, only the answer says. Raises OutsideError."""
        if self._client is None:
            raise OutsideError("there is no line to the devices", "commands")
        body = {"id": command.id, "command": command.name, "value": command.value, "until": command.deadline}
        subject = subject_of(topic_of(COMMAND, command.kind, command.device))
        try:
            await self._client.publish(subject, msgspec.json.encode(body))
        except (OSError, nats.errors.Error) as error:
            raise OutsideError(f"the broker does not take commands: {error}", "commands") from error

    async def _hear(self, message: Msg) -> None:
        try:
            if len(message.data) > MOST_ANSWER:
                raise msgspec.DecodeError("too long")
            said = msgspec.json.decode(message.data, type=Said)
        except NOT_JSON:
            self.unreadable += 1
            return
        self.answered(Answer(_topic(message.subject), said))


async def _quiet(error: Exception) -> None:
    log.debug("line to the devices: %s", error)
