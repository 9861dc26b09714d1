"""A load of readings, in a process of its own: `python -m benchmarks._load '{"form": "single", ...}'`; prints what it did.

`single`: MQTT connections take turns, one reading a QoS 1 message, one message a write. `gateways`: each connection speaks for
its share of all devices, once a second, one reading a QoS 1 message, all in one write. `lines`: QoS 1 messages of so many JSON
lines. `http`: POST requests of so many JSON lines on kept connections, each waiting for its answer.

At most `window` messages of a connection wait for their acknowledgement. `rate`: readings a second over all (None: as fast as
acknowledgements allow), for `seconds`, or until `most` are sent. Device and time name each reading.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import psutil
import uvloop

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"  # clean session, no name, no keep alive
POST = b"POST /api/readings HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n"
NUMBERS = 65_000  # packet identifiers that a connection uses


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
        self.number = self.number % NUMBERS + 1
        self.transport.write(publish(topic, self.number, payload))
        self.open += 1

    def send_all(self, packets: bytes, number: int) -> None:
        """So many PUBLISH packets at once."""
        self.transport.write(packets)
        self.open += number

    @property
    def ready(self) -> bool:
        """Whether one more may be sent."""
        return self.open < self.window and self.flowing


def publish(topic: bytes, number: int, payload: bytes) -> bytes:
    """A PUBLISH packet of QoS 1 (MQTT 3.1.1, section 3.3)."""
    size, length = len(topic) + len(payload) + 4, bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return b"\x32" + length + len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + payload


class Clock:
    """When what is due. `begin`: when the first was sent."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.begin = time.time()
        self.rate, self.most = said["rate"], said["most"] or float("inf")
        self.end = self.begin + said["seconds"] if said["most"] is None else float("inf")

    def due(self, sent: int) -> bool:
        """Whether another may be sent now."""
        return not self.rate or (time.time() - self.begin) * self.rate > sent

    def over(self, sent: int) -> bool:
        """Whether all is sent."""
        return sent >= self.most or time.time() >= self.end


class Ready:
    """The packets of all devices as one array, of which only numbers, values and times change from tick to tick.

    `size`: bytes of one. Packets are numbered from 0 to `share`, and again in the next tick from there on.
    """

    def __init__(self, devices: int, share: int) -> None:
        packet = publish(b"city/noise/d000000", 1, b'{"value":50.0,"time":1000000000.000}')
        self.size = len(packet)
        self._rows = np.tile(np.frombuffer(packet, np.uint8), (devices, 1))
        name, self._number, self._value, self._time = (packet.index(w) for w in (b"000000", b"\0\1{", b"50.0", b"1000000000"))
        names = b"".join(b"%06d" % i for i in range(devices))
        self._rows[:, name : name + 6] = np.frombuffer(names, np.uint8).reshape(-1, 6)
        self._each = np.arange(devices) % share
        self._share = share

    def of(self, tick: int, moment: float) -> bytes:
        """All packets of one tick, device by device."""
        number = (tick * self._share + self._each) % NUMBERS + 1
        self._rows[:, self._number], self._rows[:, self._number + 1] = number >> 8, number & 255
        for place, words in ((self._value, b"%.1f" % (50 + tick % 20)), (self._time, b"%.3f" % moment)):
            self._rows[:, place : place + len(words)] = np.frombuffer(words, np.uint8)
        return self._rows.tobytes()


async def single(links: list[Device], said: dict[str, Any], clock: Clock) -> int:
    """One reading a message, one message a write; number sent."""
    devices = said["devices"]
    ready = Ready(devices, devices)
    packets, size = b"", ready.size
    sent = step = 0
    while not clock.over(sent):
        progress = False
        for _ in range(2000):
            if not clock.due(sent):
                break
            link = links[step % len(links)]
            step += 1
            if link.ready:
                tick, device = divmod(sent, devices)
                if not device:
                    packets = ready.of(tick, clock.begin + tick * 0.001)
                link.send_all(packets[device * size : device * size + size], 1)
                sent += 1
                progress = True
        await asyncio.sleep(0 if progress else 0.001)
    return sent


async def gateways(links: list[Device], said: dict[str, Any], clock: Clock) -> int:
    """Every device once a second (or as `rate` says), each connection's in one write; number sent."""
    share = said["devices"] // len(links)
    ready, sent, tick = Ready(share * len(links), share), 0, 0
    clock.begin = time.time()
    while not clock.over(sent):
        packets = ready.of(tick, clock.begin + tick)
        size = share * ready.size
        for place, link in enumerate(links):
            while not link.ready or not clock.due(sent):
                await asyncio.sleep(0.001)
            link.send_all(packets[place * size : place * size + size], share)
            sent += share
        tick += 1
    return sent


def bodies(said: dict[str, Any], clock: Clock) -> Iterator[bytes]:
    """For ever: so many JSON lines, no reading twice."""
    devices, lines = said["devices"], said["lines"]
    heads = [b'{"device":"d%06d","value":5%d.5,"time":' % (i, i % 10) for i in range(devices)]
    for tick in range(1 << 40):
        stamp = b"%.3f}\n" % (clock.begin + tick * 0.001)
        for first in range(0, devices, lines):
            yield stamp.join(heads[first : first + lines]) + stamp


async def batches(links: list[Device], said: dict[str, Any], clock: Clock) -> int:
    """JSON lines by MQTT; number of readings sent."""
    sent = step = 0
    body = bodies(said, clock)
    while not clock.over(sent):
        ready = [link for link in links if link.ready] if clock.due(sent) else []
        if ready:
            ready[step % len(ready)].send(b"readings/lines", next(body))
            sent, step = sent + said["lines"], step + 1
        await asyncio.sleep(0 if ready else 0.001)
    return sent


async def posts(said: dict[str, Any], clock: Clock) -> int:
    """JSON lines by HTTP; number of readings that were accepted."""
    body, sent, accepted = bodies(said, clock), 0, 0

    async def client() -> None:
        nonlocal sent, accepted
        reader, writer = await asyncio.open_connection("127.0.0.1", said["http_port"])
        while not clock.over(sent):
            if not clock.due(sent):
                await asyncio.sleep(0.001)
                continue
            sent += said["lines"]
            lines = next(body)
            writer.writelines((POST % len(lines), lines))
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert b" 200 " in answer[:20], answer
            size = int(answer.split(b"content-length: ")[1].split(b"\r")[0])
            accepted += json.loads(await reader.readexactly(size))["accepted"]
        writer.close()

    await asyncio.gather(*(client() for _ in range(said["connections"])))
    assert accepted == sent, f"{sent} sent, {accepted} accepted"
    return sent


async def connected(said: dict[str, Any]) -> list[Device]:
    """All MQTT connections."""
    loop, links = asyncio.get_running_loop(), []
    for _ in range(said["connections"]):
        _, link = await loop.create_connection(lambda: Device(said["window"]), "127.0.0.1", said["port"])
        links.append(link)
    while not all(link.welcome for link in links):
        await asyncio.sleep(0.01)
    return links


FORMS: dict[str, Callable[..., Any]] = {"single": single, "gateways": gateways, "lines": batches}


async def run(said: dict[str, Any]) -> dict[str, Any]:
    """Connect all, send, wait for the last acknowledgement."""
    links = [] if said["form"] == "http" else await connected(said)
    clock = Clock(said)
    sent = await (FORMS[said["form"]](links, said, clock) if links else posts(said, clock))
    published = time.time()
    until = published + said["patience"]
    while any(link.open for link in links) and time.time() < until:
        await asyncio.sleep(0.01)
    cpu = sum(psutil.Process().cpu_times()[:2])
    acked = sum(link.acked for link in links) * (said["lines"] or 1) if links else sent
    return {"sent": sent, "acked": acked, "begin": clock.begin, "published": published, "cpu": cpu,
            "lost_connections": sum(link.lost for link in links)}  # fmt: skip


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(json.loads(sys.argv[1])))))
