"""Replay of recorded readings (`citytwin.io.feeds.recording`) at any speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from citytwin.city import City
from citytwin.errors import InputError
from citytwin.io.feeds.mqtt import Publisher

LINES = 5000  # readings in one batch


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
