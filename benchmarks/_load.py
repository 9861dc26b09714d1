"""A load of readings, in a process of its own: `python -m benchmarks._load '{"port": 1883, ...}'`; prints what it did as JSON.

`connections` MQTT connections take turns, one QoS 1 message and one write each; at most `window` messages of a connection
wait for their PUBACK. `rate`: messages a second over all (None: as fast as acknowledgements allow). `lines`: readings a
message, as JSON lines under `readings/lines`. Every reading has a time of its own: device and time name it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, cast

import psutil
import uvloop

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"  # clean session, no name, no keep alive


class Device(asyncio.Protocol):
    """One connection: counts acknowledgements."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.open = self.acked = self.number = 0
        self.flowing = True
        self.welcome = False
        self.lost = False
        self._rest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(CONNECT)

    def connection_lost(self, exc: Exception | None) -> None:
        """It must not be."""
        self.lost = True

    def pause_writing(self) -> None:
        """The socket is full."""
        self.flowing = False

    def resume_writing(self) -> None:
        """It takes more."""
        self.flowing = True

    def data_received(self, data: bytes) -> None:
        """CONNACK, then PUBACKs, four bytes each."""
        size = len(data) + self._rest
        if not self.welcome:
            self.welcome = True
            size -= 4
        self.acked += size // 4
        self.open -= size // 4
        self._rest = size % 4

    def send(self, topic: bytes, payload: bytes) -> None:
        """One PUBLISH of QoS 1."""
        self.number = self.number % 65535 + 1
        size = len(topic) + len(payload) + 4
        length = bytes((size,)) if size < 128 else _length(size)
        self.transport.write(
            b"\x32" + length + len(topic).to_bytes(2, "big") + topic + self.number.to_bytes(2, "big") + payload
        )
        self.open += 1


def _length(size: int) -> bytes:
    found = bytearray()
    while True:
        size, digit = divmod(size, 128)
        found.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(found)


async def single(links: list[Device], said: dict[str, Any], begin: float) -> int:
    """One reading a message; number sent."""
    topics = [b"city/noise/d%d" % i for i in range(said["devices"])]
    end, rate, sent, step = begin + said["seconds"], said["rate"], 0, 0
    while (now := time.time()) < end:
        due = int((now - begin) * rate) - sent if rate else len(links) * 4
        if due <= 0:
            await asyncio.sleep(0.001)
            continue
        progress = False
        for _ in range(min(due, 2000)):
            link = links[step % len(links)]
            step += 1
            if link.open < link.window and link.flowing:
                tick, device = divmod(sent, len(topics))
                link.send(topics[device], b'{"value":%d.%d,"time":%.3f}' % (50 + tick % 20, device % 10, begin + tick * 0.001))
                sent += 1
                progress = True
        await asyncio.sleep(0 if progress else 0.001)
    return sent


async def many(links: list[Device], said: dict[str, Any], begin: float) -> int:
    """Batches of JSON lines; number of readings sent."""
    devices, lines, end = said["devices"], said["lines"], begin + said["seconds"]
    heads = [b'{"device":"d%d","value":5%d.5,"time":' % (i, i % 10) for i in range(devices)]
    sent, step = 0, 0
    while time.time() < end:
        link = links[step % len(links)]
        step += 1
        if link.open < link.window and link.flowing:
            tick, first = divmod(sent, devices)
            stamp = b"%.3f}\n" % (begin + tick * 0.001)
            link.send(b"readings/lines", stamp.join(heads[first : first + lines]) + stamp)
            sent += lines
        await asyncio.sleep(0 if step % len(links) else 0.0005)
    return sent


async def run(said: dict[str, Any]) -> dict[str, Any]:
    """Connect all, send, wait for the last acknowledgement."""
    loop = asyncio.get_running_loop()
    links: list[Device] = []
    for _ in range(said["connections"]):
        _, link = await loop.create_connection(lambda: Device(said["window"]), "127.0.0.1", said["port"])
        links.append(link)
    while not all(link.welcome for link in links):
        await asyncio.sleep(0.01)
    begin = time.time()
    sent = await (many if said["lines"] else single)(links, said, begin)
    published = time.time()
    until = published + said["patience"]
    while any(link.open for link in links) and time.time() < until:
        await asyncio.sleep(0.01)
    cpu = sum(psutil.Process().cpu_times()[:2])
    return {
        "sent": sent, "acked": sum(link.acked for link in links) * (said["lines"] or 1), "begin": begin, "published": published,
        "confirmed": time.time(), "cpu": cpu, "lost_connections": sum(link.lost for link in links),
    }  # fmt: skip


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(json.loads(sys.argv[1])))))
