"""A device's second half: a connection to the broker's own MQTT door, made when there is something for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from citytwin.io.feeds.connection import Half
from citytwin.io.feeds.door.packets import CONNACK, PUBCOMP, Hello, PacketError, body_of

if TYPE_CHECKING:
    from citytwin.io.feeds.door.link import Link

MOST_HELD = 256 << 10  # bytes kept for a broker that has not answered yet; then the device is not read any more


class Upstream(Half):
    """Speaks to the broker as the device `link`, with the CONNECT it sent. `eager`: the broker's CONNACK is the device's.

    The broker need not watch whether the device lives: the door does, and ends this connection with it.
    """

    def __init__(self, link: Link, hello: Hello, eager: bool) -> None:
        super().__init__()
        self._link: Link | None = link
        self._hello = hello
        self._eager = eager
        self._rest = b""
        self._held: list[bytes] = []
        self._ready = False
        self._port = link.door.upstream_port
        self._work = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
        except (OSError, TimeoutError):
            self._lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what the device said."""
        super().connection_made(transport)
        if self._link is None:
            self.abort()
        else:
            self.write(self._hello.silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """The broker went away, or took another in the name of this device."""
        self._lost()

    def _lost(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.upstream_lost()

    def other(self) -> Link | None:
        """The device."""
        return self._link

    def send(self, packet: bytes) -> None:
        """Hand a packet to the broker, when it has said welcome."""
        if self._ready:
            self.write(packet)
            return
        self._held.append(packet)
        if self._link is not None and sum(map(len, self._held)) > MOST_HELD:
            self._link.pause()

    def close(self) -> None:
        """The device is gone; without a DISCONNECT before it the broker publishes its will."""
        self._link = None
        super().close()

    def data_received(self, data: bytes) -> None:
        """Whole packets to the device."""
        data = self._rest + data if self._rest else data
        at = begin = 0
        completed: list[bytes] = []
        with contextlib.suppress(PacketError):
            while at + 1 < len(data):
                body, end = body_of(data, at)
                if not end or end > len(data):
                    break
                kind = data[at] & 0xF0
                if kind == CONNACK:
                    self._welcome(data[body + 1])
                    begin = at if self._eager else end
                elif kind == PUBCOMP:
                    completed.append(data[body:end])
                at = end
        if begin < at and self._link is not None:
            self._link.from_upstream(data[begin:at], completed)
        self._rest = data[at:]

    def _welcome(self, code: int) -> None:
        self._ready = True
        if code:
            super().close()
            return
        for packet in self._held:
            self.send(packet)
        self._held = []
        if self._link is not None:
            self._link.resume()
