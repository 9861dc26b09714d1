"""What every channel can do: carry a message to people, or say why it could not."""

from __future__ import annotations

from typing import Any, Protocol

from citytwin.incidents.digest import Policy
from citytwin.incidents.message import Message


class UnsentError(Exception):
    """The message did not get through, and may when tried again; `wait`: not before so many seconds, if the receiver said."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class UndeliverableError(Exception):
    """The receiver will never take this message."""


class Channel(Protocol):
    """A way to people. `policy`: what it is told and how often."""

    name: str
    policy: Policy
    attempts: int  # after so many tries a message is dead

    async def send(self, message: Message) -> str:
        """Hand `message` over; words for the journal on how it went. Raises UnsentError, UndeliverableError.

        The same message may be sent again after a crash, under the same `key`.
        """

    def describe(self) -> dict[str, Any]:
        """What may be shown of the channel: no secret, and no address that holds one."""
