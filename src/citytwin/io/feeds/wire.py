"""The lean reader of the log: the few lines of the NATS protocol that a pull consumer needs, parsed in bulk.

`nats-py` builds an object per message and passes about 50,000 a second; here a chunk of the socket becomes four plain lists.
Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import cast

from citytwin.errors import OutsideError

GONE = (b"NATS/1.0 409", b"NATS/1.0 503")  # the consumer was deleted, or nobody answers for it
PENDING = b"Nats-Pending-Messages: "


@dataclass
class Messages:
    """n messages of the log, oldest first: subject, payload, place in the log, time of arrival (ns since 1970).

    `last`: the place up to which the log was read, copies that are passed over included; 0 for nothing.
    """

    subject: list[bytes] = field(default_factory=list)
    payload: list[bytes] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    stamp: list[int] = field(default_factory=list)
    last: int = 0

    def __len__(self) -> int:
        return len(self.sequence)


class PullConnection(asyncio.Protocol):
    """One connection that pulls messages of one consumer and hands over whatever has come."""

    def __init__(self, stream: str, consumer: str) -> None:
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._rest: list[bytes] = []  # pieces of a message that is not whole yet
        self._missing = 0  # bytes without which looking again is in vain
        self._came = asyncio.Event()
        self._messages = Messages()
        self._transport: asyncio.Transport | None = None
        self.wanted = 0  # messages asked for that have not come
        self.lost = False

    @classmethod
    async def open(cls, port: int, stream: str, consumer: str) -> PullConnection:
        """Connect to the broker on loopback. Raises OutsideError."""
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(lambda: cls(stream, consumer), "127.0.0.1", port)
        except OSError as error:
            raise OutsideError(f"the broker does not answer: {error.strerror or error}", f"127.0.0.1:{port}") from error
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are and subscribe to the answers of our pulls."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own transports are no subclass
        hello = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
            "lang": "citytwin",
            "version": "1",
        }
        self._inbox = f"_pull.{id(self)}"
        self._transport.write(b"CONNECT " + json.dumps(hello).encode() + f"\r\nSUB {self._inbox} 1\r\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """The broker went away."""
        self.lost = True
        self._came.set()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def pull(self, count: int, most_bytes: int, expires: float) -> None:
        """Ask for up to `count` messages within `expires` seconds."""
        assert self._transport is not None
        said = json.dumps({"batch": count, "max_bytes": most_bytes, "expires": int(expires * 1e9)}).encode()
        self._transport.write(f"PUB {self._next} {self._inbox} {len(said)}\r\n".encode() + said + b"\r\n")
        self.wanted += count

    async def take(self, patience: float) -> Messages:
        """All messages that have come; waits up to `patience` seconds for the first."""
        if not self._messages.last and not self.lost:
            try:
                async with asyncio.timeout(patience):
                    await self._came.wait()
            except TimeoutError:
                pass
        self._came.clear()
        taken, self._messages = self._messages, Messages()
        return taken

    def data_received(self, data: bytes) -> None:
        """Parse whole messages out of what came and keep the rest."""
        if self._rest:
            self._rest.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._rest)
        at, size = 0, len(data)
        self._missing = 0
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            first = data[at]
            if first == 72 or first == 77:  # HMSG, MSG
                words = data[at:end].split(b" ")
                begin, stop = end + 2, end + 2 + int(words[-1])
                if stop + 2 > size:
                    self._missing = stop + 2 - size
                    break
                head = begin + int(words[-2]) if first == 72 else begin
                self._message(words, data[begin:head], data[head:stop])
                at = stop + 2
            else:
                self._control(data[at:end])
                at = end + 2
        self._rest = [data[at:]] if at < size else []
        if self._messages.last:
            self._came.set()

    def _message(self, words: list[bytes], header: bytes, payload: bytes) -> None:
        if header.startswith(b"NATS/1.0 "):
            self._status(header)
            return
        self.wanted -= 1
        place = words[3].split(b".")  # $JS.ACK.stream.consumer.delivered.sequence.consumer_sequence.stamp.pending
        messages = self._messages
        messages.last = int(place[5])
        if b"Nmqtt-Pub" in header:
            return  # a copy for subscribers, which our door handed over; the reading itself is in a batch
        messages.subject.append(words[1])
        messages.payload.append(payload)
        messages.sequence.append(messages.last)
        messages.stamp.append(int(place[7]))

    def _status(self, header: bytes) -> None:
        if header.startswith(GONE):
            self.lost = True
            self._came.set()
            return
        at = header.find(PENDING)
        if at >= 0:  # a pull ended before it was full
            self.wanted -= int(header[at + len(PENDING) : header.find(b"\r", at)])
            self._came.set()

    def _control(self, line: bytes) -> None:
        if line == b"PING" and self._transport is not None:
            self._transport.write(b"PONG\r\n")
        elif line.startswith(b"-ERR"):
            self.lost = True
            self._came.set()
