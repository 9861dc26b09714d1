"""One device's connection: readings go to the pipeline as they came, everything else is answered here or handed over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from citytwin.io.feeds.connection import Half
from citytwin.io.feeds.door.packets import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PONG,
    PUBCOMP,
    PUBLISH,
    PUBREL,
    WELCOME,
    Hello,
    PacketError,
    body_of,
    hello,
)  # fmt: skip
from citytwin.io.feeds.door.upstream import Upstream

if TYPE_CHECKING:
    from citytwin.io.feeds.door.door import Door

READING = (b"city/", b"readings/")
ACK = {0: b"", 2: b"\x40\x02", 4: b"\x50\x02"}  # QoS bits of a PUBLISH -> how its PUBACK or PUBREC begins


class Link(Half):
    """A connection from CONNECT to its end. `heard`: when it last said something, in the door's slow clock (s)."""

    __slots__ = ("_awaited", "_relayed", "_rest", "_stored", "_upstream", "door", "heard", "hello")

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door
        self.hello: Hello | None = None
        self.heard = door.now
        self._rest = b""
        self._upstream: Upstream | None = None
        self._stored: set[bytes] = set()  # packet ids of QoS 2 readings between PUBLISH and PUBREL
        self._relayed: set[bytes] = set()  # and of QoS 2 messages that were handed over

    # -- the socket ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A device calls."""
        super().connection_made(transport)
        self.door.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.door.forget(self)
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None

    def other(self) -> Upstream | None:
        """Where the broker speaks to the device."""
        return self._upstream

    # -- what the device says -----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Whole packets out of what came; the rest is kept."""
        self.heard = self.door.now
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            at = self._packets(data)
        except PacketError as error:
            self.door.wrong(self, str(error))
            return
        if at < len(data):
            self._rest = data[at:]

    def _packets(self, data: bytes) -> int:
        """Take all whole packets; where the rest begins."""
        at = run = 0  # `run`: where the readings begin that have not been handed to the pipeline
        size = len(data)
        answers: list[bytes] = []
        while at + 1 < size:
            first = data[at]
            begin, end = (at + 2, at + 2 + data[at + 1]) if data[at + 1] < 0x80 else body_of(data, at)
            if not end or end > size:
                break
            if first & 0xF1 == PUBLISH and self.hello is not None and self._is_reading(data, begin, end):
                if first & 6:
                    self._answer(first & 6, data, begin, end, answers)
            else:
                if run < at:
                    self.door.take(data[run:at], self, b"".join(answers))
                    answers = []
                run = end
                self._other(first, data[at:end], begin - at)
                if not self.open:
                    return size
            at = end
        if run < at:
            self.door.take(data if at - run == size else data[run:at], self, b"".join(answers))
        return at

    def _is_reading(self, data: bytes, begin: int, end: int) -> bool:
        if data.startswith(READING, begin + 2):
            return True
        topic = begin + 2 + (data[begin] << 8 | data[begin + 1]) if begin + 2 <= end else end + 1
        if topic > end:
            raise PacketError("a PUBLISH that ends early")
        return self.door.is_reading(data[begin + 2 : topic])

    def _answer(self, qos: int, data: bytes, begin: int, end: int, answers: list[bytes]) -> None:
        """What a reading of QoS 1 or 2 is to be answered once it is stored."""
        at = begin + 2 + (data[begin] << 8 | data[begin + 1])
        number = data[at : at + 2]
        if at + 2 > end or qos == 6:
            raise PacketError("a PUBLISH that ends early" if qos != 6 else "a PUBLISH of QoS 3")
        if qos == 4:
            self._stored.add(number)
        answers.append(ACK[qos] + number)

    def _other(self, first: int, packet: bytes, begin: int) -> None:
        """Anything that is not a plain reading."""
        kind = first & 0xF0
        if (kind == CONNECT) == (self.hello is not None):
            raise PacketError("CONNECT must come first, and once")
        if kind == CONNECT:
            self._connect(packet, begin)
        elif kind == PINGREQ:
            self.write(PONG)
        elif kind == DISCONNECT:
            if self._upstream is not None:
                self._upstream.send(packet)
            self.close()
        elif first == PUBREL and packet[begin:] not in self._relayed:
            self._stored.discard(packet[begin:])
            self.write(bytes((PUBCOMP, 2)) + packet[begin:])
        elif kind == PUBLISH and self._is_reading(packet, begin, len(packet)):
            self._retained(first, packet, begin)
        else:
            self._hand_over(first, packet, begin)

    def _connect(self, packet: bytes, begin: int) -> None:
        found = hello(packet, begin)
        if isinstance(found, bytes):
            self.write(found)
            self.close()
            return
        self.hello = found
        self.door.welcome(self)
        if found.clean and not found.will:
            self.write(WELCOME)
        else:  # the broker knows whether there is a session, and keeps the will
            self._upstream = Upstream(self, found, eager=True)

    def _retained(self, first: int, packet: bytes, begin: int) -> None:
        """A reading to be kept for later subscribers: stored as any other, and handed over as a message of QoS 0."""
        at = begin + 2 + (packet[begin] << 8 | packet[begin + 1])
        answers: list[bytes] = []
        if first & 6:
            self._answer(first & 6, packet, begin, len(packet), answers)
        self.door.take(bytes((first & 0xFE,)) + packet[1:], self, b"".join(answers))
        body = packet[begin:at] + packet[at + (2 if first & 6 else 0) :]
        self._hand_over(PUBLISH | 1, bytes((PUBLISH | 1,)) + _length(len(body)) + body, 0)

    def _hand_over(self, first: int, packet: bytes, begin: int) -> None:
        assert self.hello is not None
        if first & 0xF6 == PUBLISH | 4:
            at = begin + 2 + (packet[begin] << 8 | packet[begin + 1])
            self._relayed.add(packet[at : at + 2])
        if self._upstream is None:
            self._upstream = Upstream(self, self.hello, eager=False)
        self._upstream.send(packet)

    # -- what the broker says -----------------------------------------------------------------------------------------

    def from_upstream(self, packets: bytes, completed: list[bytes]) -> None:
        """Whole packets for the device; `completed`: ids of QoS 2 messages that are through."""
        self._relayed.difference_update(completed)
        self.write(packets)

    def upstream_lost(self) -> None:
        """The broker is gone: the device is to connect and subscribe again."""
        self._upstream = None
        self.close()


def _length(size: int) -> bytes:
    """Remaining length, section 2.2.3."""
    found = bytearray()
    while True:
        size, digit = divmod(size, 128)
        found.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(found)
