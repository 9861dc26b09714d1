"""Simulated devices that take commands: they obey after a while, refuse, or say nothing, as real ones do.

One MQTT connection listens for all devices of the fleet (`command/#`) and answers for them. What a device was told it then
also reports, until the fleet ends. A command that comes twice is done once and answered twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiomqtt
import msgspec
import numpy as np

from citytwin.city import City
from citytwin.errors import MissingError
from citytwin.incidents.command import CommandKinds
from citytwin.io.feeds.signals import Signals
from citytwin.jsonable import NOT_JSON

DELAY, SPREAD = 0.6, 0.7  # seconds until a device answers: median and sigma of a lognormal; a rule of ours
REFUSE_SHARE, DEAF_SHARE = 0.02, 0.02  # of commands: refused, and not answered at all; a rule of ours
REMEMBERED = 10_000


class Told(msgspec.Struct):
    """A command as it comes over MQTT."""

    id: str
    command: str
    value: float | str
    until: float = 0.0


@dataclass
class Obeyed:
    """What the fleet did with commands."""

    done: int = 0
    refused: int = 0
    deaf: int = 0
    again: int = 0


@dataclass
class Obeying:
    """The devices of `city` as receivers of commands; `signals` then reports what they were told.

    delay: median seconds to an answer. refuse, deaf: shares of commands. The same seed decides the same for the same command.
    """

    city: City
    kinds: CommandKinds
    signals: Signals
    seed: int = 0
    delay: float = DELAY
    refuse: float = REFUSE_SHARE
    deaf: float = DEAF_SHARE
    counts: Obeyed = field(default_factory=Obeyed)
    _answers: dict[str, bytes | None] = field(default_factory=dict)
    _doing: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, host: str, port: int, ready: Callable[[], None] = lambda: None) -> None:
        """Listen and obey until cancelled; a lost connection is made again."""
        try:
            while True:
                with contextlib.suppress(aiomqtt.MqttError):
                    name = f"fleet-commands-{self.seed}-{int(time.time() * 1000)}"
                    async with aiomqtt.Client(host, port, identifier=name) as client:
                        await client.subscribe("command/#", qos=1)
                        ready()
                        async for message in client.messages:
                            self._take(client, str(message.topic), bytes(message.payload))  # type: ignore[arg-type]
                await asyncio.sleep(0.5)
        finally:
            for task in self._doing:
                task.cancel()

    def _take(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        parts = topic.split("/", 2)
        try:
            told = msgspec.json.decode(payload, type=Told)
            row = int(self.city.row("device", parts[2]))
        except (*NOT_JSON, MissingError, IndexError):
            return
        task = asyncio.get_running_loop().create_task(self._obey(client, parts[1], parts[2], row, told))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _obey(self, client: aiomqtt.Client, kind: str, device: str, row: int, told: Told) -> None:
        topic = f"answer/{kind}/{device}"
        if told.id in self._answers:
            self.counts.again += 1
            answer = self._answers[told.id]
        else:
            self._answers[told.id] = None  # being done, or deaf
            rng = np.random.default_rng((self.seed, *told.id.encode()))
            await asyncio.sleep(float(self.delay * np.exp(SPREAD * rng.normal())))
            answer = self._do(kind, row, told, float(rng.random()))
            self._answers[told.id] = answer
            while len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        if answer is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await client.publish(topic, answer, qos=1)

    def _do(self, kind: str, row: int, told: Told, chance: float) -> bytes | None:
        if chance < self.deaf:
            self.counts.deaf += 1
            return None
        if chance < self.deaf + self.refuse:
            self.counts.refused += 1
            return msgspec.json.encode({"id": told.id, "ok": False, "error": "local control is on"})
        sets = {c.name: c.sets for c in self.kinds.of(kind)}
        if sets.get(told.command) and not isinstance(told.value, str):
            self.signals.commanded[row] = float(told.value)
        self.counts.done += 1
        return msgspec.json.encode({"id": told.id, "ok": True, "value": told.value})
