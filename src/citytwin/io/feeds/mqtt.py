"""A lean MQTT 3.1.1 publisher for many simulated devices: QoS 0 and 1, re-sending what was not acknowledged.

paho-mqtt passes about 12,000 QoS 1 messages a second in one process; a simulated city needs several times that. Packets as in
OASIS MQTT 3.1.1 (http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html), sections 3.1-3.4 and 3.12-3.14.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

from citytwin.errors import OutsideError
from citytwin.io.feeds.connection import Connection

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0xC0, 0xE0
DUP, QOS_1 = 0x08, 0x02
KEEP_ALIVE = 60
WINDOW = 2000  # messages sent and not acknowledged, per connection


def packet(kind: int, body: bytes) -> bytes:
    """One control packet: type and flags, remaining length (section 2.2.3), body."""
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes((kind,)) + bytes(length) + body


def _text(words: bytes) -> bytes:
    return struct.pack(">H", len(words)) + words


class Publisher:
    """One MQTT client. `publish` never blocks; `await ready()` holds a sender back while the broker is behind.

    `sent`, `acked`: messages handed over for the first time, and QoS 1 messages that the broker has acknowledged; `again`:
    messages sent once more after a lost connection. `window`: QoS 1 messages that may wait for their acknowledgement.
    """

    def __init__(self, host: str, port: int, name: str, window: int = WINDOW) -> None:
        self.host, self.port, self.name, self.window = host, port, name, window
        self.sent = self.acked = self.again = 0
        self._open: dict[int, bytes] = {}  # packet id -> PUBLISH packet not yet acknowledged
        self._next = 0
        self._link: _Link | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._ending = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect, or raise OutsideError; from then on a lost connection is made again and again."""
        await self._connect_once()
        self._work = asyncio.create_task(self._stay())

    async def _connect_once(self) -> None:
        link = _Link(self)
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().create_connection(lambda: link, self.host, self.port)
                await link.welcome.wait()
                if link.gone.is_set():
                    raise ConnectionRefusedError("the connection was ended")
        except (OSError, TimeoutError) as error:
            link.abort()
            raise OutsideError(f"no MQTT broker answers: {error or 'time is up'}", f"{self.host}:{self.port}") from error
        self._link = link
        self.again += len(self._open)
        for frame in self._open.values():  # what was not acknowledged
            link.write(bytes((frame[0] | DUP,)) + frame[1:])
        self.let_go()

    async def _stay(self) -> None:
        while not self._ending.is_set():
            assert self._link is not None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE / 2):
                    await self._link.gone.wait()
            if self._ending.is_set():
                return
            if self._link.gone.is_set():
                await asyncio.sleep(0.2)
                with contextlib.suppress(OutsideError):
                    await self._connect_once()
            else:
                self._link.write(packet(PINGREQ, b""))

    def publish(self, topic: bytes, payload: bytes, qos: int = 1) -> None:
        """Send one message; QoS 0 is dropped while there is no connection."""
        self.sent += 1
        if qos == 0:
            frame = packet(PUBLISH, _text(topic) + payload)
        else:
            self._next = self._next % 65535 + 1
            while self._next in self._open:
                self._next = self._next % 65535 + 1
            frame = packet(PUBLISH | QOS_1, _text(topic) + struct.pack(">H", self._next) + payload)
            self._open[self._next] = frame
            if len(self._open) >= self.window:
                self._free.clear()
        if self._link is not None:
            self._link.write(frame)

    @property
    def free(self) -> bool:
        """Whether another message may be sent now."""
        return self._free.is_set()

    async def ready(self) -> None:
        """Wait until another message may be sent."""
        await self._free.wait()

    @property
    def unacknowledged(self) -> int:
        """Messages sent with QoS 1 that the broker has not acknowledged yet."""
        return len(self._open)

    async def close(self, patience: float = 30.0) -> None:
        """Wait for the last acknowledgements, then disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._open:
                    await asyncio.sleep(0.01)
        self._ending.set()
        if self._link is not None:
            self._link.write(packet(DISCONNECT, b""))
            self._link.close()
        if self._work is not None:
            await self._work

    # -- what a link tells ---------------------------------------------------------------------------------------------

    def acknowledged(self, number: int) -> None:
        """The broker has message `number`."""
        if self._open.pop(number, None) is not None:
            self.acked += 1

    def hold_back(self) -> None:
        """The socket is full."""
        self._free.clear()

    def let_go(self) -> None:
        """More may be sent, if not too many are open."""
        if len(self._open) < self.window and (self._link is None or self._link.flowing):
            self._free.set()


class _Link(Connection):
    """One TCP connection of a publisher, from CONNECT to its end. `welcome` is set by CONNACK, or by the end."""

    def __init__(self, owner: Publisher) -> None:
        super().__init__()
        self._owner = owner
        self._rest = b""
        self.flowing = True
        self.welcome, self.gone = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves with a clean session."""
        super().connection_made(transport)
        name = _text(self._owner.name.encode())
        self.write(packet(CONNECT, _text(b"MQTT") + struct.pack(">BBH", 4, 2, KEEP_ALIVE) + name))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, however it came."""
        self.flowing = True
        self.gone.set()
        self.welcome.set()
        self._owner.let_go()

    def pause_writing(self) -> None:
        """The socket is full."""
        self.flowing = False
        self._owner.hold_back()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.flowing = True
        self._owner.let_go()

    def data_received(self, data: bytes) -> None:
        """Acknowledgements, nearly always: four bytes each."""
        data = self._rest + data
        at = 0
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            kind, end = data[at] & 0xF0, at + 2 + data[at + 1]
            if kind == PUBACK:
                self._owner.acknowledged((data[at + 2] << 8) | data[at + 3])
            elif kind == CONNACK and data[at + 3] == 0:
                self.welcome.set()
            at = end
        self._rest = data[at:]
        self._owner.let_go()
