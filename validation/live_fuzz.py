"""Malformed messages by the million: no crash, all of them counted, the good readings between them all kept.

    make validate CASE=live_fuzz
    .venv/bin/python -m validation.live_fuzz --messages 5000 --seed 2

Hypothesis makes a corpus of odd payloads (odd JSON, odd numbers, odd times, odd text, plain bytes); random mutation makes more
of them: bytes flipped, cut out, doubled, spliced; some are right but for a member nested up to 10,000 deep. They come as single
messages, MQTT packets (sound and unsound ones), JSON lines, Arrow streams and notices, through decoder, checks, health and
writer into the history; each fifth message is a good reading.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from citytwin.city import City
from citytwin.io.feeds.arrow import write_arrow
from citytwin.io.feeds.mapping import read_mappings
from citytwin.io.feeds.mqtt import packet
from citytwin.io.feeds.subjects import ARROW, LINES, MQTT
from citytwin.io.feeds.wire import Messages
from citytwin.io.stores.readings import ReadingStore
from citytwin.state import Quality, State
from citytwin.twin.devices import Devices
from citytwin.twin.listeners import Listeners
from citytwin.twin.notices import NOTICE, around_notices
from citytwin.twin.reader import Reader
from citytwin.twin.writer import Writer
from validation.case import Row
from validation.live import many_devices

MESSAGES = 1_000_000
AT_ONCE = 2000  # messages handed to the reader together
COMMIT_AFTER = 50_000
CORPUS = 3000
NESTED = 0.005  # share of bad messages that are nested deeply, thousands of bytes each
GOOD = 50  # devices that send good readings only
NOW = 1_795_262_400.0

odd_numbers = st.one_of(
    st.floats(), st.integers(), st.sampled_from([1e308, -1e308, 5e-324, 2**63, -(2**63), 2**64, 10**400, -0.0, 0])
)  # fmt: skip
odd_times = st.one_of(
    odd_numbers, st.text(max_size=30), st.datetimes().map(str), st.none(), st.booleans(),
    st.sampled_from(["2026-13-45T99:99:99Z", "0000-00-00", "now", "2026-11-21T12:00:00+99:99", "1e400"]),
)  # fmt: skip
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_numbers, st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)),
    max_leaves=12,
)
readings = st.fixed_dictionaries(
    {"value": st.one_of(odd_numbers, anything)},
    optional={"time": odd_times, "unit": anything, "device": anything, "more": anything},
)  # fmt: skip
payloads = st.one_of(
    readings.map(json.dumps).map(str.encode), st.lists(readings, max_size=4).map(json.dumps).map(str.encode),
    anything.map(json.dumps).map(str.encode), st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")),
    st.binary(max_size=80),
    st.sampled_from([b"", b"\0", b"\xff" * 40, b"[" * 5000, b"{" * 5000, b'{"value":' * 300, b"1" * 5000]),
)  # fmt: skip


def corpus(number: int, seed: int) -> list[bytes]:
    """Odd payloads as Hypothesis makes them."""
    made: list[bytes] = []

    @settings(max_examples=number, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(payloads)
    def collect(payload: bytes) -> None:
        made.append(payload)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collect()
    random.Random(seed).shuffle(made)
    return made


def mutated(payload: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """A payload with a few things wrong."""
    data = bytearray(payload)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(data) + 1)
        what = dice.randrange(5)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << dice.randrange(8)
        elif what == 1:
            del data[at : at + dice.randrange(1, 10)]
        elif what == 2:
            data[at:at] = data[at : at + dice.randrange(1, 10)]
        elif what == 3:
            data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 5)))
        else:
            other = dice.choice(others)
            data[at:] = other[dice.randrange(len(other) + 1) :]
    return bytes(data)


def nested(dice: random.Random) -> bytes:
    """A reading that is right but for one more member, nested up to 10,000 deep."""
    depth = int(10 ** dice.uniform(0, 4))
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
    deep = opening * depth + b"1" + closing * depth
    members = [b'"value":1.5', b'"device":"d%d"' % dice.randrange(60, 260), b'"time":%d' % NOW, b'"more":' + deep]
    dice.shuffle(members)
    return b"{" + b",".join(members) + b"}"


def publish(topic: str, payload: bytes) -> bytes:
    """An MQTT PUBLISH of QoS 0."""
    return packet(0x30, struct.pack(">H", len(topic)) + topic.encode() + payload)


@dataclass
class Batch:
    """Messages being gathered. `least`: how many readings have to be counted for them."""

    messages: Messages = field(default_factory=Messages)
    least: int = 0

    def add(self, subject: bytes, payload: bytes, sequence: int, least: int) -> None:
        """One message of the log."""
        self.messages.subject.append(subject)
        self.messages.payload.append(payload)
        self.messages.sequence.append(sequence)
        self.messages.stamp.append(int((NOW + sequence / 1e4) * 1e9))
        self.messages.last = sequence
        self.least += least


class Source:
    """Makes messages, good and bad. `good`: (device, ms) of the good readings."""

    def __init__(self, city: City, seed: int) -> None:
        device = city.table("device")
        self.keys, self.kinds = device["key"].tolist(), device["kind"].tolist()
        self.usual = {name: sum(kind.usual) / 2 for name, kind in city.columns.kinds.items()}
        self.dice = random.Random(seed)
        self.bad = corpus(CORPUS, seed)
        self.seeds = [*self.bad, *(b'{"value":%d,"time":%d}' % (i, int(NOW) - i) for i in range(200)),
                      *(b'{"device":"d%d","value":1.5,"time":"2026-11-21T11:00:00Z","unit":"cm"}' % i for i in range(60, 260)),
                      *(bytes(s) for s in write_arrow([f"d{i}" for i in range(60, 70)], [NOW] * 10, [1.0] * 10))]  # fmt: skip
        self.good: list[tuple[str, int]] = []
        self.sequence = 0

    def batch(self, number: int) -> Batch:
        """So many messages more, a fifth of them good."""
        made = Batch()
        for i in range(number):
            self.sequence += 1
            if i % 5 == 0:
                self._good(made)
            else:
                self._bad(made)
        return made

    def _good(self, made: Batch) -> None:
        """A good reading of a device that never says anything else, in any of the forms."""
        number = len(self.good)
        row = number % GOOD
        key, ms = self.keys[row], int(NOW * 1000) - 40_000_000 + 1000 * (number // GOOD) + row
        self.good.append((key, ms))
        said = b'{"value":%g,"time":%d.%03d}' % (self.usual[self.kinds[row]], *divmod(ms, 1000))
        form = self.dice.randrange(3)
        if form == 0:
            made.add(f"city.{self.kinds[row]}.{key}".encode(), said, self.sequence, 1)
        elif form == 1:
            made.add(MQTT.encode(), publish(f"city/{self.kinds[row]}/{key}", said), self.sequence, 1)
        else:
            made.add(LINES.encode(), b'{"device":"%s",' % key.encode() + said[1:], self.sequence, 1)

    def _payload(self) -> bytes:
        which = self.dice.random()
        if which < NESTED:
            return nested(self.dice)
        if which < 0.3:
            return self.dice.choice(self.bad)
        return mutated(self.dice.choice(self.seeds), self.dice, self.bad)

    def _bad(self, made: Batch) -> None:
        dice = self.dice
        payload = self._payload()
        row = dice.randrange(GOOD, len(self.keys))
        topic = f"city/{self.kinds[row]}/{self.keys[row]}" if dice.random() < 0.8 else "city/" + payload[:20].hex()
        form = dice.randrange(31) // 6  # few notices: each is taken in by itself, between others
        if form == 0:
            made.add(topic.replace("/", ".").encode(), payload, self.sequence, 0)
        elif form == 1:
            made.add(MQTT.encode(), publish(topic, payload), self.sequence, 0)
        elif form == 2:
            made.add(LINES.encode(), payload, self.sequence, 0)
        elif form == 3:
            made.add(ARROW.encode(), payload, self.sequence, 0)
        elif form == 4:
            whole = publish(topic, payload[:100])
            made.add(MQTT.encode(), mutated(whole, dice, self.bad), self.sequence, 0)
        else:
            made.add(NOTICE.encode(), payload, self.sequence, 0)


def fuzzed(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """Send `number` messages through a reader into a history in `folder`; what came of it."""
    city = many_devices(300)
    devices = Devices(folder, city, city.columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    writer = Writer(store)
    reader = Reader(devices, State(city), writer, Listeners(), read_mappings(folder))
    source = Source(city, seed)
    refused_quietly = 0
    begin = time.monotonic()
    while source.sequence < number:
        made = source.batch(min(AT_ONCE, number - source.sequence))
        before = int(reader.counts.sum())
        for part, notices in around_notices(made.messages):
            arrived = reader.decoder.decode(part)
            arrived.notices = notices
            reader.take(arrived, part.last)
        if int(reader.counts.sum()) - before < made.least:
            refused_quietly += 1
        if writer.number_waiting > COMMIT_AFTER:
            writer.commit()
    writer.commit()
    return {"seconds": round(time.monotonic() - begin, 1), "messages": source.sequence, "quiet": refused_quietly,
            **compared(folder, source, reader)}  # fmt: skip


def compared(folder: Path, source: Source, reader: Reader) -> dict[str, Any]:
    """Good readings and counts against the files."""
    files = f"'{folder}/live/readings/**/*.parquet'"
    good = {f"d{i}" for i in range(GOOD)}
    kept = duckdb.sql(f"select device, epoch_ms(time) from {files}").fetchall()
    kept_good = [each for each in kept if each[0] in good]
    rejected = duckdb.sql(f"select count(*) from '{folder}/live/rejected/**/*.parquet'").fetchall()[0][0]
    wanted = source.good
    return {
        "good": len(wanted), "lost": len(set(wanted) - set(kept_good)), "twice": len(kept_good) - len(set(kept_good)),
        "counted": int(reader.counts.sum()), "in_files": len(kept) + rejected,
        "counts": {q.word: int(reader.counts[q]) for q in Quality if reader.counts[q]},
    }  # fmt: skip


def judged(given: argparse.Namespace) -> Iterator[Row]:
    """Run it; one row a metric."""
    folder = Path(tempfile.mkdtemp(prefix="citytwin-fuzz-"))
    try:
        found = fuzzed(folder, given.messages, given.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found), file=sys.stderr)
    name = f"fuzz: {found['messages']:,} messages, {found['good']:,} of them good"
    yield Row(name, "good readings lost", 0, found["lost"])
    yield Row(name, "good readings kept twice", 0, found["twice"])
    yield Row(name, "batches in which a message was not counted", 0, found["quiet"])
    yield Row(name, "counted other than in the files", 0, abs(found["counted"] - found["in_files"]))


def asked(arguments: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


CASES = [lambda: judged(asked([]))]

if __name__ == "__main__":
    verdicts = [(print(row.line(), flush=True), row.holds)[1] for row in judged(asked(sys.argv[1:]))]
    sys.exit(0 if all(verdicts) else 1)
