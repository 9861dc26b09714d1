"""The postman: takes messages from the outbox to their channels, each channel at its own pace, and writes down how it went.

A message is claimed, sent, settled. If the twin dies between sending and settling, the message goes out again under the same
key: at least once, and a receiver that keeps keys (webhook-id, Message-ID) has it exactly once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping

from citytwin.errors import OutsideError
from citytwin.incidents.journal import Entry
from citytwin.incidents.message import Message
from citytwin.io.channels import Channel, UndeliverableError, UnsentError
from citytwin.io.stores.records import Outbox, SqlJournal

CLAIM_SECONDS = 600.0  # longer than it takes to send so many
AT_ONCE = 5
LOOK_SECONDS = 2.0
FIRST_WAIT, LONGEST_WAIT = 5.0, 900.0  # seconds before a message is tried again: doubled each time

log = logging.getLogger("citytwin.alerts")


class Postman:
    """Sends what the outbox holds, while `run` runs."""

    def __init__(self, outbox: Outbox, journal: SqlJournal, channels: Mapping[str, Channel]) -> None:
        self.outbox, self.journal, self.channels = outbox, journal, dict(channels)
        self.problems: dict[str, str] = {}  # of channels whose last message did not get through
        self._due = {name: asyncio.Event() for name in self.channels}

    def wake(self) -> None:
        """There may be something to send."""
        for event in self._due.values():
            event.set()

    async def run(self) -> None:
        """For ever: send what is due, each channel on its own."""
        try:
            await asyncio.to_thread(self.outbox.release, time.time())
            self.journal.tell(await asyncio.to_thread(self.outbox.undeclared, list(self.channels), _given_up))
        except OutsideError as error:
            log.warning("%s", error)
        async with asyncio.TaskGroup() as group:
            for channel in self.channels.values():
                group.create_task(self._serve(channel))

    async def _serve(self, channel: Channel) -> None:
        event = self._due[channel.name]
        while True:
            event.clear()
            claimed: list[Message] = []
            try:
                claimed = await asyncio.to_thread(self.outbox.claim, AT_ONCE, CLAIM_SECONDS, None, channel.name)
                for message in claimed:
                    await self.deliver(channel, message)
            except OutsideError as error:
                log.warning("%s", error)
            except Exception:  # one channel's trouble must not end the others
                log.exception("channel %s", channel.name)
                claimed = []
            if not claimed:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await event.wait()
                except TimeoutError:
                    pass

    async def deliver(self, channel: Channel, message: Message) -> bool:
        """Send one claimed message and settle it; whether it got through."""
        about = {"message": message.id, "key": message.key, "title": message.title, "attempt": message.attempts}
        subject = f"channel/{channel.name}"
        try:
            words = await channel.send(message)
        except UndeliverableError as error:
            await self._failed(channel, message, str(error), None)
            return False
        except UnsentError as error:
            await self._failed(channel, message, str(error), error.wait)
            return False
        except Exception as error:  # a channel's own mistake must not stop the others; its words may hold a secret
            log.exception("channel %s", channel.name)
            await self._failed(channel, message, type(error).__name__, 0.0)
            return False
        self.problems.pop(channel.name, None)
        entry = Entry("message.sent", f"{channel.name}: {message.title} ({words})", "twin", subject, about)
        await self._settle(lambda: self.outbox.sent(message, [entry]))
        return True

    async def _failed(self, channel: Channel, message: Message, why: str, wait: float | None) -> None:
        self.problems[channel.name] = why
        dead = wait is None or message.attempts >= channel.attempts
        again = None if dead else time.time() + max(wait or 0.0, patience(message))
        about = {"message": message.id, "key": message.key, "title": message.title, "attempt": message.attempts, "again": again}
        kind = "message.dead" if dead else "message.failed"
        entry = Entry(kind, f"{channel.name}: {message.title}: {why}", "twin", f"channel/{channel.name}", about)
        log.warning("channel %s: %s%s", channel.name, why, " (given up)" if dead else "")
        await self._settle(lambda: self.outbox.failed(message, why, again, [entry]))

    async def _settle(self, settle) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Write down how it went, however long the records refuse: what was sent must not be sent again."""
        while True:
            try:
                kept = await asyncio.to_thread(settle)
                self.journal.tell(kept)
                return
            except OutsideError as error:
                log.warning("%s", error)
                await asyncio.sleep(1.0)


def patience(message: Message) -> float:
    """Seconds before the next try: 5, 10, 20 ... 900, each up to a fifth longer, so that many do not come back at once."""
    spread = hashlib.sha256(f"{message.key} {message.attempts}".encode()).digest()[0] / 255
    return float(min(FIRST_WAIT * 2.0 ** (message.attempts - 1), LONGEST_WAIT) * (1 + 0.2 * spread))


def _given_up(message: Message) -> Entry:
    return Entry("message.dead", f"{message.channel}: {message.title}: the channel is no longer declared", "twin",
                 f"channel/{message.channel}", {"message": message.id, "key": message.key})  # fmt: skip
