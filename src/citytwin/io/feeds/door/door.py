"""The door: takes the connections of all devices, keeps the log from being outrun, and devices from being forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time

from citytwin.io.feeds.door.link import Link
from citytwin.io.feeds.door.pipeline import Pipeline, Sink
from citytwin.io.feeds.topics import Pattern

log = logging.getLogger("citytwin.door")

HIGH, LOW = 32 << 20, 16 << 20  # bytes not yet in the log at which devices are no longer read, and are read again
MOST_TOPICS = 100_000  # topics of which is remembered whether they are readings
HELLO_SECONDS = 30.0  # a connection that has not said CONNECT by then is ended


class Door:
    """MQTT 3.1.1 for devices on `host` and `port`, in front of the broker's `nats_port` (the log) and `upstream_port` (MQTT).

    `patterns`: topics, beside `city/#`, that carry readings.
    """

    def __init__(self, nats_port: int, upstream_port: int, patterns: list[str]) -> None:
        self.upstream_port = upstream_port
        self.now = time.monotonic()
        self.links: set[Link] = set()
        self._names: dict[bytes, Link] = {}
        self._paused: set[Link] = set()
        self._patterns = [Pattern(p) for p in patterns]
        self._readings: dict[bytes, bool] = {}
        self._pipeline = Pipeline(nats_port, self._confirmed)

    async def run(self, host: str, port: int, ended: asyncio.Event) -> None:
        """Serve until `ended`; then take no more, and wait a little for what is not in the log yet."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Link(self), host, port, backlog=4096, reuse_address=True,
                                          family=socket.AF_UNSPEC if ":" in host else socket.AF_INET)  # fmt: skip
        tasks = [asyncio.create_task(self._pipeline.run()), asyncio.create_task(self._watch())]
        await ended.wait()
        server.close()
        for link in self.links:
            link.pause()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._pipeline.drained()
        for link in list(self.links):
            link.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_reading(self, topic: bytes) -> bool:
        """Whether messages under `topic` are readings."""
        known = self._readings.get(topic)
        if known is None:
            words = topic.decode("utf-8", "replace")
            known = any(p.matches(words) is not None for p in self._patterns)
            if len(self._readings) >= MOST_TOPICS:
                self._readings.clear()
            self._readings[topic] = known
        return known

    def take(self, packets: bytes, link: Link, answers: bytes) -> None:
        """Readings of one device; not read any further while the log is behind."""
        self._pipeline.add(packets, link, answers)
        if self._pipeline.waiting > HIGH:
            link.pause()
            self._paused.add(link)

    def _confirmed(self) -> None:
        if self._paused and self._pipeline.waiting < LOW:
            paused, self._paused = self._paused, set()
            for link in paused:
                link.resume()

    def welcome(self, link: Link) -> None:
        """A device has said its name; another connection of that name is ended (section 3.1.4)."""
        assert link.hello is not None
        name = link.hello.name
        if name:
            before = self._names.get(name)
            self._names[name] = link
            if before is not None and before is not link:
                before.close()

    def forget(self, link: Link) -> None:
        """A connection has ended."""
        self.links.discard(link)
        self._paused.discard(link)
        if link.hello is not None and self._names.get(link.hello.name) is link:
            del self._names[link.hello.name]

    def wrong(self, link: Link, words: str) -> None:
        """A connection that does not speak MQTT."""
        log.info("a connection is ended: %s", words)
        link.close()

    async def _watch(self) -> None:
        """For ever: the slow clock, and the end of connections that said nothing for 1.5 keep alives (section 3.1.2.10)."""
        while True:
            self.now = time.monotonic()
            for link in list(self.links):
                if link in self._paused:
                    link.heard = self.now
                patience = HELLO_SECONDS if link.hello is None else 1.5 * link.hello.keep_alive
                if patience and self.now - link.heard > patience + 1:
                    link.close()
            await asyncio.sleep(1.0)


__all__ = ["Door", "Sink"]
