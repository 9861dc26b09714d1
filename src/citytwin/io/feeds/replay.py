"""Replay of recorded readings: CSV or Parquet files with device, time and value, in any order of columns, at any speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from citytwin.city import City
from citytwin.errors import InputError
from citytwin.io.feeds.mqtt import Publisher

LINES = 5000  # readings in one batch
FIELDS = ("device", "time", "value")


def read_recording(path: Path | str) -> pd.DataFrame:
    """The recording at `path`: device (text), time (s since 1970, UTC), value and, where there is one, unit; in order of time.

    A long table with a column for each of `device`, `time` and `value`; or a wide one whose first column is the time and
    whose other columns are devices. Gaps stay gaps. Raises InputError.
    """
    path = Path(path)
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", str(path)) from error
    if len(table.columns) < 2:
        raise InputError("holds no readings", str(path), f"columns: {', '.join(FIELDS)}, or a time and one a device")
    if not set(FIELDS) <= set(table.columns):
        first = str(table.columns[0])
        table = table.melt(id_vars=first, var_name="device", value_name="value").rename(columns={first: "time"})
    table = table.assign(time=_seconds(table["time"], path), device=table["device"].astype(str))
    table = table.assign(value=pd.to_numeric(table["value"], errors="coerce")).dropna(subset=["time", "value"])
    kept = [*FIELDS, *(["unit"] if "unit" in table else [])]
    return table[kept].sort_values("time", kind="stable").reset_index(drop=True)


def _seconds(column: pd.Series[Any], path: Path) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    try:
        moments = pd.to_datetime(column, utc=True)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"times cannot be read: {str(error).splitlines()[0]}", str(path), "ISO 8601, or s since 1970"
        ) from error
    return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)


def batches(recording: pd.DataFrame, most: int = LINES) -> Iterator[tuple[float, bytes]]:
    """The recording as JSON lines, at most `most` readings each, with the time of the last reading of each batch."""
    encode = msgspec.json.Encoder().encode_lines
    for begin in range(0, len(recording), most):
        part = recording.iloc[begin : begin + most]
        yield float(part["time"].iloc[-1]), encode(part.to_dict("records"))


async def replay(
    recording: pd.DataFrame, accept: Callable[[bytes], Awaitable[Any]], speed: float = np.inf, most: int = LINES
) -> int:
    """Hand the recording to `accept` (`Twin.accept`, say), `speed` times as fast as it was recorded; number of readings.

    At infinite speed each batch follows as soon as the one before is durable.
    """
    if not speed > 0:
        raise InputError(f"a speed of {speed} never ends")
    if not len(recording):
        return 0
    begin, first = time.monotonic(), float(recording["time"].iloc[0])
    for moment, lines in batches(recording, most if np.isinf(speed) else max(1, min(most, 100))):
        await asyncio.sleep(max(0.0, (moment - first) / speed - (time.monotonic() - begin)))
        await accept(lines)
    return len(recording)


def over_mqtt(city: City, publisher: Publisher) -> Callable[[bytes], Awaitable[None]]:
    """A taker of batches that publishes each reading to its device's topic; others are of kind `unknown`."""
    devices = city.table("device")
    topics = {key: f"city/{kind}/{key}".encode() for key, kind in zip(devices["key"], devices["kind"], strict=True)}
    decode, encode = msgspec.json.Decoder(dict[str, Any]).decode_lines, msgspec.json.Encoder().encode

    async def accept(lines: bytes) -> None:
        for said in decode(lines):
            device = said.pop("device")
            await publisher.ready()
            publisher.publish(topics.get(device, f"city/unknown/{device}".encode()), encode(said))

    return accept
