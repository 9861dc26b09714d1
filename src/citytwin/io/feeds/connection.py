"""One TCP connection, as every one of ours behaves: what is written or asked after its end is dropped, not raised."""

from __future__ import annotations

import asyncio
from typing import cast


class Connection(asyncio.Protocol):
    """A connection from its beginning to its end."""

    __slots__ = ("_transport",)

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own transports are no subclass

    @property
    def open(self) -> bool:
        """Whether there is somebody to speak to."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send, if there is still somebody to send to."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """End after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()


class Half(Connection):
    """One of two connections that pass on to each other: while one does not take what it is sent, the other is not read."""

    __slots__ = ()

    def other(self) -> Connection | None:
        """The other half, while there is one."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """It does not take what it is sent."""
        other = self.other()
        if other is not None:
            other.pause()

    def resume_writing(self) -> None:
        """It takes again."""
        other = self.other()
        if other is not None:
            other.resume()
