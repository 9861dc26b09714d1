"""A lean MQTT 3.1.1 publisher for many simulated devices: QoS 0 and 1, re-sending what was not acknowledged.

paho-mqtt passes about 12,000 QoS 1 messages a second in one process; a simulated city needs several times that. Packets as in
OASIS MQTT 3.1.1 (http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html), sections 3.1-3.4 and 3.12-3.14.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

from citytwin.errors import OutsideError

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


class Publisher(asyncio.Protocol):
    """One MQTT connection. `publish` never blocks; `await ready()` holds a sender back while the broker is behind.

    `sent`, `acked`: messages handed over for the first time, and QoS 1 messages that the broker has acknowledged.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        self.host, self.port, self.name = host, port, name
        self.sent = self.acked = self.again = 0
        self._open: dict[int, bytes] = {}  # packet id -> PUBLISH packet not yet acknowledged
        self._next = 0
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._up = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._flowing = True
        self._ending = False
        self._work: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    async def connect(self) -> None:
        """Connect, or raise OutsideError; from then on a lost connection is made again and again."""
        await self._connect_once()
        self._work = asyncio.create_task(self._stay())

    async def _connect_once(self) -> None:
        self._gone.clear()
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().create_connection(lambda: self, self.host, self.port)
                await self._up.wait()
        except (OSError, TimeoutError) as error:
            if self._transport is not None:
                self._transport.abort()
            raise OutsideError(f"no MQTT broker answers: {error or 'time is up'}", f"{self.host}:{self.port}") from error

    async def _stay(self) -> None:
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE / 2):
                    await self._gone.wait()
            if self._ending:
                return
            if self._gone.is_set():
                await asyncio.sleep(0.2)
                with contextlib.suppress(OutsideError):
                    await self._connect_once()
            elif self._transport is not None:
                self._transport.write(packet(PINGREQ, b""))

    def publish(self, topic: bytes, payload: bytes, qos: int = 1) -> None:
        """Send one message; QoS 0 is dropped while there is no connection."""
        self.sent += 1
        if qos == 0:
            if self._up.is_set() and self._transport is not None:
                self._transport.write(packet(PUBLISH, _text(topic) + payload))
            return
        self._next = self._next % 65535 + 1
        while self._next in self._open:
            self._next = self._next % 65535 + 1
        frame = packet(PUBLISH | QOS_1, _text(topic) + struct.pack(">H", self._next) + payload)
        self._open[self._next] = frame
        if self._up.is_set() and self._transport is not None:
            self._transport.write(frame)
        if len(self._open) >= WINDOW:
            self._free.clear()

    async def ready(self) -> None:
        """Wait until another message may be sent."""
        await self._free.wait()

    @property
    def free(self) -> bool:
        """Whether another message may be sent now."""
        return self._free.is_set()

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
        self._ending = True
        self._gone.set()
        if self._work is not None:
            await self._work
        if self._transport is not None:
            self._transport.write(packet(DISCONNECT, b""))
            self._transport.close()

    # -- what asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves with a clean session."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._rest = transport, b""
        transport.write(packet(CONNECT, _text(b"MQTT") + struct.pack(">BBH", 4, 2, KEEP_ALIVE) + _text(self.name.encode())))

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember to come again."""
        self._up.clear()
        self._gone.set()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The socket is full."""
        self._flowing = False
        self._free.clear()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._flowing = True
        if len(self._open) < WINDOW:
            self._free.set()

    def data_received(self, data: bytes) -> None:
        """Acknowledgements, nearly always: four bytes each."""
        data = self._rest + data
        at = 0
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            kind, end = data[at] & 0xF0, at + 2 + data[at + 1]
            if kind == PUBACK:
                if self._open.pop((data[at + 2] << 8) | data[at + 3], None) is not None:
                    self.acked += 1
            elif kind == CONNACK and data[at + 3] == 0:
                self._welcome()
            at = end
        self._rest = data[at:]
        if self._flowing and len(self._open) < WINDOW:
            self._free.set()

    def _welcome(self) -> None:
        """Connected: send again what was not acknowledged."""
        self._up.set()
        self.again += len(self._open)
        for frame in self._open.values():
            assert self._transport is not None
            self._transport.write(bytes((frame[0] | DUP,)) + frame[1:])
