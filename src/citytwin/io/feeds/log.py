"""The log of readings: one JetStream stream that holds every message as it came, until the history has it.

`readings.mqtt`: batches of MQTT PUBLISH packets, written by our door; `readings.lines`, `readings.arrow`: batches of HTTP and
NATS clients; `city.<kind>.<device>`: single readings that NATS clients publish. When it is full it refuses new messages and
drops no old ones: an acknowledged reading is in it. See docs/adr/ and docs/explanation/the-log-is-the-truth.md.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client

from citytwin.errors import ConflictError, OutsideError
from citytwin.io.feeds.subjects import SINGLE
from citytwin.io.feeds.wire import Messages, PullConnection

STREAM = "readings"
EARLIER = "$MQTT_msgs"  # the log of versions before there was a door: the broker's own store of MQTT messages
SUBJECTS = ("readings.>", f"{SINGLE}>")
SAME = int(300e9)  # ns in which the broker knows a batch that is sent again after a lost acknowledgement
PULL, PULL_BYTES, PULL_SECONDS = 4000, 4 << 20, 5.0
PATIENCE = 5.0  # seconds for one answer of the broker
MOST_BYTES = 4 << 20  # of one message of a batch


class Log:
    """The log in the broker at a loopback `port`; `most_bytes` is how much it holds before it stops acknowledging."""

    def __init__(self, port: int, most_bytes: int = 8 << 30) -> None:
        self.port = port
        self.most_bytes = most_bytes
        self._client: Client | None = None
        self._pull: PullConnection | None = None
        self._made = 0

    async def open(self, after: int = 0) -> None:
        """Connect, and make the stream if it is not there; the next message gets a place after `after`.

        So too where a power cut took the log's end, or the broker's store is new: no place is given twice. Raises OutsideError;
        ConflictError where the broker holds the log of an earlier version.
        """
        try:
            self._client = await nats.connect(
                f"nats://127.0.0.1:{self.port}", connect_timeout=PATIENCE, max_reconnect_attempts=-1,
                reconnect_time_wait=0.2, error_cb=_quiet, name="citytwin",
            )  # fmt: skip
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise OutsideError(f"the broker does not answer: {error}", f"127.0.0.1:{self.port}") from error
        await self._refuse_earlier(after)
        form = {
            "name": STREAM, "subjects": list(SUBJECTS), "storage": "file", "retention": "limits", "discard": "new",
            "max_bytes": self.most_bytes, "num_replicas": 1, "duplicate_window": SAME,
        }  # fmt: skip
        if "error" in await self._ask(f"STREAM.INFO.{STREAM}", {}, may_fail=True):
            await self._ask(f"STREAM.CREATE.{STREAM}", {**form, "first_seq": after + 1})
        else:
            await self._ask(f"STREAM.UPDATE.{STREAM}", form)
            _, last = await self.range()
            if last < after:
                await self.forget(after)

    async def _refuse_earlier(self, after: int) -> None:
        found = await self._ask(f"STREAM.INFO.{EARLIER}", {}, may_fail=True)
        if not set(SUBJECTS) & set(found.get("config", {}).get("subjects") or ()):
            return
        left = int(found["state"]["last_seq"]) - after if int(found["state"]["messages"]) else 0
        if left > 0:
            raise ConflictError(
                f"the log is of an earlier version and holds up to {left} messages that the history has not", "live/nats",
                "let that version run once more and end in order, then remove live/nats and start again",
            )  # fmt: skip
        hint = "the history has all that it held: remove live/nats and start again"
        raise ConflictError("the log is of an earlier version", "live/nats", hint)

    async def close(self) -> None:
        """End all connections."""
        self._drop()
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.close()
            self._client = None

    async def range(self) -> tuple[int, int]:
        """First and last place in the log (first > last: it is empty)."""
        state = (await self._ask(f"STREAM.INFO.{STREAM}", {}))["state"]
        return int(state["first_seq"]), int(state["last_seq"])

    async def append(self, subject: str, payload: bytes) -> int:
        """Put one message into the log; its place there. Durable when this returns. Raises OutsideError."""
        return int((await self._request(subject, payload))["seq"])

    async def forget(self, sequence: int) -> None:
        """Drop all messages up to and including `sequence`."""
        await self._ask(f"STREAM.PURGE.{STREAM}", {"seq": sequence + 1})

    async def read(self, after: int, patience: float = 0.2) -> Messages:
        """The next messages after place `after`; may be empty. The caller says each time how far it has come.

        Raises OutsideError where the broker cannot be reached; call again.
        """
        if self._pull is None or self._pull.lost:
            await self._begin(after)
        assert self._pull is not None
        _pull_more(self._pull)
        messages = await self._pull.take(patience)
        _pull_more(self._pull)  # so that the broker fetches the next ones while the caller is busy with these
        return messages

    async def _begin(self, after: int) -> None:
        """A fresh cursor behind place `after`: a consumer that the broker forgets, since we remember."""
        self._drop()
        self._made += 1
        name = f"twin_{self._made}"
        config = {
            "name": name, "ack_policy": "none", "mem_storage": True, "inactive_threshold": int(60e9),
            "deliver_policy": "by_start_sequence", "opt_start_seq": after + 1,
        }  # fmt: skip
        await self._ask(f"CONSUMER.DELETE.{STREAM}.{name}", {}, may_fail=True)
        await self._ask(f"CONSUMER.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": config})
        self._pull = await PullConnection.open(self.port, STREAM, name)

    def _drop(self) -> None:
        if self._pull is not None:
            self._pull.close()
            self._pull = None

    async def _ask(self, call: str, said: dict[str, Any], may_fail: bool = False) -> dict[str, Any]:
        return await self._request(f"$JS.API.{call}", json.dumps(said).encode(), may_fail)

    async def _request(self, subject: str, payload: bytes, may_fail: bool = False) -> dict[str, Any]:
        if self._client is None:
            raise OutsideError("the log is not open")
        try:
            answer = await self._client.request(subject, payload, timeout=PATIENCE)
        except (nats.errors.Error, TimeoutError) as error:
            raise OutsideError(f"the broker does not answer: {error or type(error).__name__}", subject) from error
        found: dict[str, Any] = json.loads(answer.data)
        if "error" in found and not may_fail:
            raise OutsideError(f"the broker refuses: {found['error'].get('description')}", subject)
        return found


def _pull_more(pull: PullConnection) -> None:
    if pull.wanted <= PULL // 2 and not pull.lost:
        pull.pull(PULL, PULL_BYTES, PULL_SECONDS)


async def _quiet(error: Exception) -> None:
    """Connection errors are expected while a broker restarts; the reader meets them by itself."""


def pieces(lines: bytes, most: int = MOST_BYTES) -> list[bytes]:
    """`lines` cut at line ends into pieces of at most `most` bytes each (a single longer line is left whole)."""
    cut = []
    at = 0
    while at < len(lines):
        end = len(lines) if len(lines) - at <= most else lines.rfind(b"\n", at, at + most) + 1
        if end <= at:
            end = (lines.find(b"\n", at) + 1) or len(lines)
        cut.append(lines[at:end])
        at = end
    return cut
