"""All that apprise speaks: chat rooms, SMS gateways, push services. An extra: `pip install "citytwin[channels]"`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from citytwin.errors import MissingError
from citytwin.incidents.message import Message
from citytwin.incidents.rules.document import duration
from citytwin.io.channels.channel import UnsentError

if TYPE_CHECKING:
    from citytwin.io.channels.declared import Apprise

LONGEST = 4000  # characters of a text; services cut sooner or later


class AppriseChannel:
    """Hands each message to apprise for all its URLs."""

    def __init__(self, name: str, said: Apprise) -> None:
        self.name, self.said = name, said
        self.policy = said.policy(name)
        self.attempts = said.attempts

    def describe(self) -> dict[str, Any]:
        """Only what it is: the URLs hold secrets."""
        return {"name": self.name, "kind": "apprise", "server": "kept secret"}

    async def send(self, message: Message) -> str:
        """Hand the message over. Raises UnsentError."""
        try:
            import apprise
        except ModuleNotFoundError as error:
            raise UnsentError('apprise is not installed: pip install "citytwin[channels]"') from error
        try:
            urls = self.said.urls.read().split()
        except MissingError as error:
            raise UnsentError(str(error)) from error
        speaker = apprise.Apprise()
        known = [speaker.add(url) for url in urls]
        if not all(known):
            raise UnsentError(f"apprise cannot read {known.count(False)} of {len(known)} URLs")
        try:
            async with asyncio.timeout(duration(self.said.timeout)):
                done = await speaker.async_notify(title=message.title, body=message.text[:LONGEST])
        except TimeoutError as error:
            raise UnsentError("apprise did not end in time") from error
        if not done:
            raise UnsentError("apprise could not deliver to all of its URLs")
        return f"to {len(known)} services"
