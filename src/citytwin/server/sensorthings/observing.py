"""Observations that clients post: to Datastreams that are devices of the city by the twin's own way in, to others kept.

Data arrays (OGC 18-088, clause 13): many Observations in one request, each answered by its address or by "error" and why.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from starlette.concurrency import run_in_threadpool

from citytwin.errors import ConflictError, InputError, TwinError
from citytwin.io.stores.sensing import SensingStore
from citytwin.server.encoding import dumps
from citytwin.server.sensorthings.asking import Asking
from citytwin.server.sensorthings.bodies import checked, columns, link_of
from citytwin.server.sensorthings.city import OBSERVATION
from citytwin.server.sensorthings.kept import ID, Wanted
from citytwin.server.sensorthings.model import SETS
from citytwin.server.sensorthings.writing import Change

if TYPE_CHECKING:
    from citytwin.twin import Twin

OBSERVATIONS = SETS["Observations"]
PATIENCE = 3.0  # seconds until a reading that was taken must be seen
KEPT = ("phenomenonTime", "result", "resultTime", "Datastream", "FeatureOfInterest")
MOST = 100_000  # Observations of one request


@dataclass
class Reading:
    """One Observation of a device of the city, on its way in."""

    device: str
    when: dt.datetime
    value: float


class Observing:
    """Takes Observations."""

    def __init__(self, twin: Twin, asking: Asking, store: SensingStore) -> None:
        self._twin, self._asking, self._store = twin, asking, store

    def is_citys(self, stream: int | None) -> bool:
        """Whether a Datastream is a device of the city."""
        return stream is not None and stream in self._asking.mirror.rows

    async def take(self, stream: int, body: dict[str, Any]) -> int | None:
        """One Observation of a device; its id, or None where it is kept but not read yet. Raises InputError, ConflictError."""
        await run_in_threadpool(self._must_be, stream)
        (answer,) = await self._into_the_twin([self._reading(stream, body)])
        if isinstance(answer, TwinError):
            raise answer
        return answer

    def _must_be(self, stream: int) -> None:
        with self._store.reading() as cursor:
            self._asking.one(cursor, SETS["Datastreams"], stream)

    def _reading(self, stream: int, said: Any) -> Reading:
        body = checked(OBSERVATIONS, said)
        for name in body:
            if name not in KEPT:
                raise InputError(f"{name} is not kept of a device of the city", "body", f"give {', '.join(KEPT[:2])}")
        if body.get("FeatureOfInterest") is not None and link_of(body["FeatureOfInterest"]) != stream:
            raise InputError("a device of the city observes where it is", "FeatureOfInterest", "leave it out")
        values = columns(OBSERVATIONS, body)
        if values["number"] is None:
            raise InputError(f"{values['result'][:80]} is not a number", "result", "a device of the city measures numbers")
        if "begin" in values and values["begin"] != values["end"]:
            raise InputError("a device of the city measures at a moment", "phenomenonTime")
        when = values.get("begin") or dt.datetime.now(dt.UTC).replace(tzinfo=None)
        return Reading(str(self._asking.mirror.key(stream)), when, values["number"])

    async def _into_the_twin(self, readings: list[Reading]) -> list[int | TwinError | None]:
        """Put readings into the log; the ids of what is believed, and why the rest is not."""
        known = await run_in_threadpool(self._ids, readings)
        lines = b"".join(
            dumps({"device": r.device, "value": r.value, "time": r.when.replace(tzinfo=dt.UTC).timestamp()}) + b"\n"
            for r in readings
        )
        begun = time.time()
        answer = await self._twin.accept(lines)
        if not answer["accepted"]:
            reason = next(iter(answer["refused"]), "refused")
            return [InputError(f"not taken: {reason.replace('_', ' ')}", r.device) for r in readings]
        ids = await self._seen(readings, begun, sum(answer["refused"].values()))
        refused = self._refused(begun)
        out: list[int | TwinError | None] = []
        for i, each in enumerate(readings):
            if i in known:
                out.append(ConflictError("this device has an Observation of that time already", each.device))
            elif i in ids:
                out.append(ids[i])
            else:
                reason = refused.get(each.device)
                out.append(InputError(f"not believed: {reason.replace('_', ' ')}", each.device) if reason else None)
        return out

    async def _seen(self, readings: list[Reading], begun: float, refused: int) -> dict[int, int]:
        """Wait until the readings are read; their ids by place."""
        wait = 0.01
        while True:
            ids = await run_in_threadpool(self._ids, readings)
            missing = {r.device for i, r in enumerate(readings) if i not in ids}
            if len(ids) + refused >= len(readings) or missing <= set(self._refused(begun)) or time.time() - begun > PATIENCE:
                return ids
            await asyncio.sleep(wait)
            wait = min(wait * 2, 0.2)

    def _refused(self, since: float) -> dict[str, str]:
        """Devices of whose readings since then (by the log, on our clock) one was not believed, and why."""
        return {str(r["device"]): str(r["reason"]) for r in self._twin.quality()["recent"] if float(r["time"]) >= since}

    def _ids(self, readings: list[Reading]) -> dict[int, int]:
        """The ids of the Observations of these devices and times, by place in `readings`."""
        devices = tuple(dict.fromkeys(r.device for r in readings))
        wanted = Wanted(devices, min(r.when for r in readings), max(r.when for r in readings))
        words: dict[str, Any] = {}
        with self._store.reading() as cursor:
            rows = self._asking.kept.rows(cursor, wanted, words)
            found = cursor.execute(f"select r.device, r.time, {ID} from ({rows}) r", words).fetchall()
        ids = {(device, when): int(id) for device, when, id in found}
        return {i: ids[r.device, r.when] for i, r in enumerate(readings) if (r.device, r.when) in ids}

    # -- data arrays --------------------------------------------------------------------------------------------------

    async def take_arrays(self, said: Any, address: str) -> list[str]:
        """Data arrays; for each Observation its address or "error: " and why, in the order they came."""
        bodies = _opened(said)
        answers: list[str] = [""] * len(bodies)
        ours: list[int] = []
        readings: list[Reading] = []
        others: list[int] = []
        for i, (stream, body) in enumerate(bodies):
            if isinstance(body, str):
                answers[i] = f"error: {body}"
            elif not self.is_citys(stream):
                others.append(i)
            else:
                try:
                    readings.append(self._reading(stream, body))
                    ours.append(i)
                except TwinError as error:
                    answers[i] = f"error: {error}"
        if readings:
            for i, id in zip(ours, await self._into_the_twin(readings), strict=True):
                answers[i] = (
                    f"error: {id}" if isinstance(id, TwinError) else f"{address}({id})" if id is not None else "accepted"
                )
        if others:
            await run_in_threadpool(self._store_all, bodies, others, answers, address)
        return answers

    def _store_all(self, bodies: list[tuple[int, Any]], chosen: list[int], answers: list[str], address: str) -> None:
        """Keep Observations of Datastreams that clients made: those that are right, in one transaction."""
        rows = []
        with self._store.change() as cursor:
            change = Change(self._asking, self._store, cursor)
            for i in chosen:
                stream, body = bodies[i]
                try:
                    rows.append((i, change.observation(stream, body)))
                except TwinError as error:
                    answers[i] = f"error: {error}"
            if not rows:
                return
            first = self._store.next_ids(cursor, len(rows))
            names = [n.strip().strip('"') for n in OBSERVATION.split(",")]
            table = {n: [row.get(n) for _, row in rows] for n in names if n != "id"}
            ids = [2 * (first + n) for n in range(len(rows))]
            cursor.register(
                "fresh", pa.table({"id": ids, **{n: pa.array(v, _TYPES.get(n, pa.string())) for n, v in table.items()}})
            )
            cursor.execute(f'insert into own."Observations" ({OBSERVATION}) select {OBSERVATION} from fresh')
            cursor.unregister("fresh")
        for (i, _), id in zip(rows, ids, strict=True):
            answers[i] = f"{address}({id})"


_TYPES = {
    **{n: pa.timestamp("us") for n in ("begin", "end", "resultTime", "valid_begin", "valid_end")},
    "number": pa.float64(), "Datastream": pa.int64(), "FeatureOfInterest": pa.int64(),
}  # fmt: skip


def _opened(said: Any) -> list[tuple[int, Any]]:
    """Each Observation of data arrays, as its Datastream and its body (a text: what is wrong with it). Raises InputError."""
    if not isinstance(said, list):
        raise InputError("data arrays are a JSON list", "body")
    out: list[tuple[int, Any]] = []
    for part in said:
        if (
            not isinstance(part, dict)
            or not isinstance(part.get("components"), list)
            or not isinstance(part.get("dataArray"), list)
        ):
            raise InputError("a data array has Datastream, components and dataArray", "body")
        stream = link_of(part.get("Datastream"))
        if stream is None:
            raise InputError("a data array names its Datastream", "Datastream", 'as in {"@iot.id": 7}')
        for row in part["dataArray"]:
            out.append((stream, _body(part["components"], row)))
        if len(out) > MOST:
            raise InputError(f"more than {MOST} Observations", "body", "send them in parts")
    return out


def _body(components: list[Any], row: Any) -> Any:
    if not isinstance(row, list) or len(row) != len(components):
        return f"a row has {len(components)} values"
    body = dict(zip(map(str, components), row, strict=True))
    for name in ("FeatureOfInterest/id", "FeatureOfInterest/@iot.id"):
        if name in body:
            feature = body.pop(name)
            if not isinstance(feature, int):
                return f'no FeatureOfInterest has the id "{feature}"'
            body["FeatureOfInterest"] = {"@iot.id": feature}
    return {n: v for n, v in body.items() if v is not None or n == "result"}
