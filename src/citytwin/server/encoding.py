"""How answers are written: JSON by msgspec (NaN becomes null, NumPy becomes plain), and the binary frames of live devices.

A binary frame is little endian. Header, 16 bytes: u8 version, u8 type (1 snapshot, 2 delta), u16 0, u32 sequence, f64 time
(s since 1970). Snapshot: u32 n, u32 0, u32 x[n], u32 y[n] (web mercator, 0..1 times 2^32, y down), f32 value[n], u8 kind[n],
u8 status[n]. Delta: u32 m, u32 k, u32 row[m], f32 value[m], u8 status[m], zeros up to a multiple of four, and of the k devices
that moved u32 row[k], u32 x[k], u32 y[k].
"""

from __future__ import annotations

import datetime as dt
import gzip
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from starlette.responses import Response

from citytwin.city import City
from citytwin.errors import InputError

VERSION = 1
SNAPSHOT = 1
DELTA = 2
HEADER = struct.Struct("<BBHId")
MERCATOR_LATITUDE = 85.0511287798066  # where the web mercator square ends


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (Path, bytes)):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    return None if str(value) in ("NaT", "<NA>") else str(value)


def dumps(value: Any) -> bytes:
    """`value` as JSON in UTF-8; NaN and infinity become null."""
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except (TypeError, ValueError, UnicodeEncodeError):
        return msgspec.json.encode(_keyed(value), enc_hook=_plain)


def _keyed(value: Any) -> Any:
    """`value` with text keys and without lone surrogates, which JSON in UTF-8 cannot say."""
    if isinstance(value, dict):
        return {_keyed(str(k)): _keyed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_keyed(v) for v in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return dumps(content)


def packed(content: bytes, media_type: str, headers: dict[str, str] | None = None, level: int = 1) -> Response:
    """An answer compressed once with gzip, which every browser unpacks itself."""
    return Response(
        gzip.compress(content, level, mtime=0), media_type=media_type, headers={"content-encoding": "gzip", **(headers or {})}
    )


def iso(seconds: float) -> str:
    """A moment (s since 1970) as ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str, where: str = "time") -> float:
    """Seconds since 1970 of an ISO 8601 time (UTC where it names no zone), or of a plain number. Raises InputError."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            # A "+" of a time zone that was not percent-encoded arrives as a space.
            when = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            seconds = (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
        except (ValueError, OverflowError) as error:
            raise InputError(f'"{text}" is not a time', where, "as in 2026-11-21T18:00:00Z") from error
    if not 0 <= seconds <= 253_402_300_799:
        raise InputError(f'"{text}" is not a time', where, "between the years 1970 and 9999")
    return seconds


def mercator(city: City, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Points of the city's CRS in web mercator, 0..1 times 2^32 from the north-west corner of the world."""
    return web_mercator(*city.to_lonlat(x, y))


def web_mercator(longitude: npt.ArrayLike, latitude: npt.ArrayLike) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Places in web mercator, 0..1 times 2^32 from the north-west corner of the world."""
    lon, lat = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
    lat = np.radians(np.clip(lat, -MERCATOR_LATITUDE, MERCATOR_LATITUDE))
    east = lon / 360.0 + 0.5
    south = 0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)
    shares = (np.clip(np.nan_to_num(a), 0.0, 1.0) * 2.0**32 for a in (east, south))
    east_code, south_code = (np.minimum(a, 2.0**32 - 1).astype("<u4") for a in shares)
    return east_code, south_code


def snapshot(
    sequence: int,
    time: float,
    place: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]],
    kind: npt.NDArray[np.uint8],
    value: npt.NDArray[np.floating],
    status: npt.NDArray[np.uint8],
) -> bytes:
    """The binary frame of all devices."""
    head = HEADER.pack(VERSION, SNAPSHOT, 0, sequence & 0xFFFFFFFF, time) + struct.pack("<II", len(kind), 0)
    arrays = (place[0].astype("<u4"), place[1].astype("<u4"), value.astype("<f4"), kind.astype("u1"), status.astype("u1"))
    return head + b"".join(a.tobytes() for a in arrays)


def delta(
    sequence: int, time: float, rows: npt.NDArray[np.integer], value: npt.NDArray[np.floating], status: npt.NDArray[np.uint8],
    moved: tuple[npt.NDArray[np.integer], npt.NDArray[np.uint32], npt.NDArray[np.uint32]] | None = None,
) -> bytes:  # fmt: skip
    """The binary frame of the devices in `rows`, with their new values and statuses; `moved`: rows and places of some."""
    m, k = len(rows), 0 if moved is None else len(moved[0])
    head = HEADER.pack(VERSION, DELTA, 0, sequence & 0xFFFFFFFF, time) + struct.pack("<II", m, k)
    frame = head + rows.astype("<u4").tobytes() + value.astype("<f4").tobytes() + status.astype("u1").tobytes()
    if moved is not None and k:
        frame += bytes(-m % 4) + b"".join(a.astype("<u4").tobytes() for a in moved)
    return frame
