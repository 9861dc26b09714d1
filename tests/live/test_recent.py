"""Laws of repetitions: what is sent again is known among the last million readings, also after a restart."""

from __future__ import annotations

import asyncio

import numpy as np
from device_city import arrivals
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_live_twin import counted, kept, living, publish, until

from citytwin.state import Quality
from citytwin.twin.recent import Recent, marks

T = 1_795_000_000


def late(row, time):
    batch = arrivals(row, time, [1.0] * len(row))
    batch.quality[:] = Quality.LATE
    return batch


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=200), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_each_of_the_readings_kept_is_known_and_no_other(pairs, size):
    recent, seen = Recent(kept=256), set()
    for begin in range(0, len(pairs), size):
        part = pairs[begin : begin + size]
        batch = late([r for r, _ in part], [T + t for _, t in part])
        recent.judge(batch)
        for pair, quality in zip(part, batch.quality.tolist(), strict=True):
            assert (quality == Quality.DOUBLED) == (pair in seen)
            seen.add(pair)


def test_half_of_the_kept_are_always_known_and_memory_does_not_grow():
    recent = Recent(kept=1024)
    for end in range(100, 20_000, 700):
        recent.judge(late([0] * 700, T + np.arange(end, end + 700)))
    again = late([0] * 512, T + np.arange(end + 700 - 512, end + 700))
    recent.judge(again)
    assert (again.quality == Quality.DOUBLED).all()
    first = late([0], [T + 100])
    recent.judge(first)
    assert first.quality[0] == Quality.LATE


def test_marks_of_many_devices_and_times_differ():
    row, time = np.meshgrid(np.arange(300, dtype=np.int32), T + 0.001 * np.arange(1000))
    assert len(np.unique(marks(row.ravel(), time.ravel()))) == 300_000


@given(st.integers(0, 2**31 - 1), st.integers(1, 2**16), st.integers(20, 50))
@example(row=7, difference=1, shift=44)
def test_bits_of_row_and_time_that_lie_over_each_other_do_not_cancel(row, difference, shift):
    """Whatever the place at which a row would be laid over the time, the time that undoes it gives another mark."""
    moment = T * 1_000_000
    undone = moment ^ (difference << shift)
    if undone < 2**52:
        mark = marks(np.array([row, row ^ difference], np.int32), np.array([moment, undone]) / 1e6)
        assert mark[0] != mark[1]


def test_marks_of_a_large_city_differ_over_months():
    rng = np.random.default_rng(1)
    row = rng.integers(0, 1 << 24, 1_000_000).astype(np.int32)
    time = T + rng.integers(0, 400 * 86400, 1_000_000).astype(float)
    pairs = len(np.unique(np.stack([row, time.astype(np.int64)]), axis=1).T)
    assert len(np.unique(marks(row, time))) == pairs


def test_a_device_that_sends_a_thousand_readings_again_is_counted_once_also_after_a_restart(city_folder):
    messages = [(b"city/noise/device-3", b'{"value":%d,"time":%d}' % (50 + t % 9, T + t)) for t in range(1000)]

    async def story(twin, wanted):
        assert await publish(twin.mqtt_port, *messages) == 1000
        await until(lambda: counted(twin) == wanted)
        return twin.quality()["counts"]["doubled"]

    assert asyncio.run(living(city_folder, lambda twin: story(twin, 1000))) == 0
    assert asyncio.run(living(city_folder, lambda twin: story(twin, 2000))) == 1000
    assert len(kept(city_folder)) == 1000
