"""Laws of the history: checkpoints change no answer, old days go whole, charts keep what matters, statuses have a course."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from device_city import arrivals, device_city
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.city import write_city
from citytwin.errors import InputError
from citytwin.io.stores.checkpoints import HOUR
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.retention import drop_old, read_retention
from citytwin.io.stores.thinning import telling
from citytwin.io.stores.transitions import Transitions
from citytwin.twin.devices import Devices

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z
DAY = 86400.0


@pytest.fixture
def devices(tmp_path):
    city = device_city(10)
    write_city(city, tmp_path / "city")
    return Devices(tmp_path / "city", city, city.columns)


def opened(folder, devices):
    return ReadingStore(folder, devices.keys, devices.kinds, devices.kind)


def commit(store, row, time, value):
    first = store.committed + 1
    store.commit(arrivals(row, time, value, sequence=range(first, first + len(row))), first + len(row) - 1)


def known(history, moment):
    keys, time, value = history.known_at(moment, 6 * HOUR)
    return {k: (t, v) for k, t, v in zip(keys, time.tolist(), value.tolist(), strict=True)}


def plain(rows, moment):
    """The same from the rows themselves."""
    found = {}
    for row, time, value in sorted(rows, key=lambda r: r[1]):
        if moment - 6 * HOUR <= time <= moment:
            found[f"device-{row}"] = (time, value)
    return found


def test_the_city_at_any_past_moment_is_the_same_with_checkpoints_and_without(tmp_path, devices):
    rng = np.random.default_rng(1)
    drawn = zip(rng.integers(0, 10, 300).tolist(), rng.choice(40_000, 300, False).tolist(), strict=True)
    rows = [(row, NOON + second, float(i)) for i, (row, second) in enumerate(drawn)]
    store = opened(tmp_path / "live", devices)
    on_time, late = rows[:200], rows[200:]
    commit(store, *zip(*on_time, strict=True))
    history = History(store)
    moments = [NOON + s for s in (1800, 3600, 3601, 14_399, 20_000, 36_000, 43_200)]
    assert [known(history, m) for m in moments] == [plain(on_time, m) for m in moments]
    for hour in range(int(NOON // HOUR) + 1, int(NOON // HOUR) + 12):
        assert history.make_checkpoint(hour)
    assert [known(history, m) for m in moments] == [plain(on_time, m) for m in moments]
    for at in range(0, 100, 20):  # what comes late is known beside the checkpoints at once
        commit(store, *zip(*late[at : at + 20], strict=True))
    assert [known(history, m) for m in moments] == [plain(rows, m) for m in moments]
    again = opened(tmp_path / "live", devices)
    assert [known(History(again), m) for m in moments] == [plain(rows, m) for m in moments]
    assert again.checkpoints.catch_up() > 0
    assert not list((tmp_path / "live/checkpoints/late").iterdir())
    assert [known(History(again), m) for m in moments] == [plain(rows, m) for m in moments]


def test_a_checkpoint_for_which_readings_come_while_it_is_made_is_not_kept(tmp_path, devices):
    store = opened(tmp_path / "live", devices)
    commit(store, [0], [NOON], [1.0])
    history = History(store)
    changes = store.checkpoints.changes
    commit(store, [1], [NOON + 1], [2.0])
    assert not store.checkpoints.write(int(NOON // HOUR) + 1, store.checkpoints.before(NOON) or _nothing(), changes)
    assert history.make_checkpoint(int(NOON // HOUR) + 1)


def _nothing():
    import pyarrow as pa

    from citytwin.io.stores.checkpoints import SCHEMA

    return pa.table({f.name: pa.array([], f.type) for f in SCHEMA})


def test_late_data_lands_in_its_own_day_and_stays_there_through_compaction(tmp_path, devices):
    store = opened(tmp_path / "live", devices)
    commit(store, [0, 1], [NOON, NOON - 3 * DAY], [1.0, 2.0])
    commit(store, [0, 1], [NOON + 60, NOON - 3 * DAY + 60], [1.1, 2.1])
    store.compact(0, 0)
    files = sorted(str(p.relative_to(store.readings).parent) for p in store.readings.rglob("*.parquet"))
    assert files == ["2026-11-18/rain_gauge", "2026-11-21/river_stage"]


def test_old_days_of_a_kind_are_dropped_whole_and_other_kinds_stay(tmp_path, devices):
    store = opened(tmp_path / "live", devices)
    for day in range(5):
        commit(store, [0, 1, 2], [NOON - day * DAY] * 3, [1.0, 2.0, 20.0])
    (tmp_path / "city/retention.csv").write_text("kind,days\nriver_stage,2\n*,4\n")
    names = [k.name for k in devices.kinds]
    retention = read_retention(tmp_path / "city", names)
    assert (retention["river_stage"], retention["noise"]) == (2, 4)
    drop_old(store, Transitions(tmp_path / "status", devices.keys), retention, dt.date(2026, 11, 21))
    history = History(store)
    kept = {k: len(history.window(d, k, NOON - 9 * DAY, NOON)[0]) for d, k in
            (("device-0", "river_stage"), ("device-1", "rain_gauge"))}  # fmt: skip
    assert kept == {"river_stage": 3, "rain_gauge": 5}
    assert opened(tmp_path / "live", devices).committed == store.committed


@pytest.mark.parametrize(
    ("text", "words"),
    [("kind,days\nriver,2\n", 'no device kind "river"'), ("kind,days\nnoise,soon\n", '"soon" is no number of days'),
     ("kind,days\nnoise,2\nnoise,3\n", "two lines"), ("kind,days\nnoise,0\n", "1 or more")],
)  # fmt: skip
def test_a_wrong_retention_is_said_in_one_line(tmp_path, text, words):
    (tmp_path / "retention.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_retention(tmp_path, ["river_stage", "noise"])


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=300), st.integers(3, 40))
@settings(max_examples=60, deadline=None)
def test_telling_points_are_few_in_order_and_keep_both_ends(values, points):
    chosen = telling(np.arange(len(values)) * 60.0, np.array(values), points)
    assert len(chosen) == min(points, len(values))
    assert (np.diff(chosen) > 0).all()
    assert (chosen[0], chosen[-1]) == (0, len(values) - 1)


def test_telling_points_keep_a_spike_that_a_mean_would_hide():
    value = np.zeros(10_000)
    value[4321] = 9.0
    assert 4321 in telling(np.arange(10_000) * 60.0, value, 50)


def test_a_status_has_a_course_that_survives_joining_and_tells_any_moment(tmp_path):
    course = Transitions(tmp_path, ["a", "b"])
    code = np.array([0], dtype=np.uint8)
    for i in range(200):
        course.note(np.array([i % 2]), NOON + 60.0 * i, code + 1 + i // 2 % 3, code)
        course.flush()
    course.note(np.array([0]), NOON + DAY, code + 5, code)  # not written yet
    time, words = course.of("a", NOON + 600, NOON + 2 * DAY)
    assert (time[0], len(time)) == (NOON + 600, 96)
    assert words[:2] == ["silent", "online"]
    assert words[-1] == "maintenance"
    assert Transitions(tmp_path, ["a", "b"]).of("b", NOON + 70, NOON + 100)[1] == ["online"]
    assert len(list((tmp_path / "2026-11-21").iterdir())) <= 61
    assert course.of("nobody", 0, NOON)[1] == []
