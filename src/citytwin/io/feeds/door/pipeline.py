"""From the door into the log: batches with acknowledgements, a few in flight, sent again until the log has said yes.

Each batch carries a `Nats-Msg-Id`, by which JetStream knows a batch that it has already and whose answer was lost.
NATS client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from citytwin.io.feeds.connection import Connection
from citytwin.io.feeds.subjects import MQTT

log = logging.getLogger("citytwin.door")

MOST_BATCH = 1 << 20  # bytes
GATHER_SECONDS = 0.005  # each batch costs broker and twin as much as some hundred readings
IN_FLIGHT = 4  # batches sent and not yet confirmed
AGAIN_SECONDS = 0.5  # after a refusal: the log is full, or not there yet
PATIENCE = 10.0  # seconds without any answer after which the connection is made anew
HELLO = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "citytwin", "version": "1"}


class Sink(Protocol):
    """Who is told that its readings are in the log."""

    def write(self, data: bytes) -> None:
        """Send the acknowledgements to the device."""


class Batch:
    """PUBLISH packets of many connections, and what to answer them once the packets are in the log."""

    __slots__ = ("answers", "number", "payload", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.payload: list[bytes] = []
        self.answers: list[tuple[Sink, bytes]] = []
        self.size = 0


class Pipeline:
    """Gathers packets and appends them to the log of the broker on loopback `port`.

    `waiting`: bytes that the log has not confirmed. `confirmed`: called after each confirmation.
    """

    def __init__(self, port: int, confirmed: Callable[[], None]) -> None:
        self.port = port
        self.waiting = 0
        self._confirmed = confirmed
        self._origin = secrets.token_hex(6)
        self._number = 0
        self._filling = Batch(0)
        self._full: deque[Batch] = deque()
        self._sent: dict[int, Batch] = {}
        self._link: _Link | None = None
        self._due = False  # a flush is coming
        self._held = False  # a flush could not send all

    def add(self, packets: bytes, sink: Sink, answers: bytes) -> None:
        """Whole PUBLISH packets of one connection; `answers` go to `sink` when the log has them."""
        batch = self._filling
        if batch.size + len(packets) > MOST_BATCH and batch.size:
            self._full.append(batch)
            batch = self._fresh()
        batch.payload.append(packets)
        batch.size += len(packets)
        self.waiting += len(packets)
        if answers:
            batch.answers.append((sink, answers))
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def _fresh(self) -> Batch:
        self._number += 1
        self._filling = Batch(self._number)
        return self._filling

    def _flush(self) -> None:
        """Send what is gathered, as far as the window allows."""
        self._due = False
        self._held = True
        while self._link is not None and len(self._sent) < IN_FLIGHT:
            if self._full:
                batch = self._full.popleft()
            elif self._filling.size:
                batch = self._filling
                self._fresh()
            else:
                self._held = False
                return
            self._sent[batch.number] = batch
            self._link.send(batch.number, self._origin, b"".join(batch.payload))

    def answered(self, number: int, words: bytes) -> None:
        """The log's answer to batch `number`: empty where nobody is there to answer."""
        try:
            refused = not words or "error" in json.loads(words)
        except ValueError:
            refused = True
        if refused:
            log.warning("the log refuses: %s", words.decode("utf-8", "replace") or "it is not there")
            if self._link is not None:
                self._link.end_after(AGAIN_SECONDS)  # all that is in flight is sent again, in order, by the next link
            return
        batch = self._sent.pop(number, None)
        if batch is None:
            return
        self.waiting -= batch.size
        for sink, answers in batch.answers:
            sink.write(answers)
        if self._held:
            self._flush()
        self._confirmed()

    async def run(self) -> None:
        """For ever: keep a connection to the broker."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError):
                _, link = await loop.create_connection(lambda: _Link(self), "127.0.0.1", self.port)
                self._link = link
                for number in sorted(self._sent):
                    link.send(number, self._origin, b"".join(self._sent[number].payload))
                self._flush()
                await self._stay(link)
                self._link = None
            await asyncio.sleep(0.1)

    async def _stay(self, link: _Link) -> None:
        """Until the connection is lost, or says nothing although it should."""
        while not link.gone.is_set():
            before, open_before = link.heard, bool(self._sent)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await link.gone.wait()
            if open_before and self._sent and link.heard == before:
                link.abort()
                return

    async def drained(self) -> None:
        """Wait until everything gathered is in the log."""
        while self.waiting:
            await asyncio.sleep(0.005)


class _Link(Connection):
    """One connection to the broker."""

    def __init__(self, owner: Pipeline) -> None:
        super().__init__()
        self._owner = owner
        self._rest = b""
        self._inbox = f"_door.{secrets.token_hex(6)}"
        self.gone = asyncio.Event()
        self.heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are and listen for answers."""
        super().connection_made(transport)
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=64 << 20)
        self.write(b"CONNECT " + json.dumps(HELLO).encode() + f"\r\nSUB {self._inbox}.* 1\r\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self.gone.set()

    def abort(self) -> None:
        """End now."""
        self.gone.set()
        super().abort()

    def end_after(self, seconds: float) -> None:
        """End soon."""
        asyncio.get_running_loop().call_later(seconds, self.abort)

    def send(self, number: int, origin: str, payload: bytes) -> None:
        """Publish one batch; the answer comes under its number."""
        if self._transport is None or self._transport.is_closing():
            return
        header = f"NATS/1.0\r\nNats-Msg-Id: {origin}-{number}\r\n\r\n".encode()
        line = f"HPUB {MQTT} {self._inbox}.{number} {len(header)} {len(header) + len(payload)}\r\n".encode()
        self._transport.writelines((line, header, payload, b"\r\n"))

    def data_received(self, data: bytes) -> None:
        """Answers: `MSG inbox.number 1 size`, or with a status header where nobody is there."""
        self.heard += 1
        data = self._rest + data if self._rest else data
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            if data[at] in b"HM":  # HMSG, MSG
                words = data[at:end].split(b" ")
                begin, stop = end + 2, end + 2 + int(words[-1])
                if stop + 2 > len(data):
                    break
                head = int(words[-2]) if data[at] == 72 else 0
                self._owner.answered(int(words[1].rsplit(b".", 1)[1]), data[begin + head : stop])
                at = stop + 2
                continue
            if data[at : at + 4] == b"PING":
                self.write(b"PONG\r\n")
            elif data[at : at + 4] == b"-ERR":
                log.warning("the broker says %s", data[at:end].decode("utf-8", "replace"))
                self.abort()
            at = end + 2
        self._rest = data[at:]
