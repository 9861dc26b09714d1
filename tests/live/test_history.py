"""Laws of the history: checkpoints change no answer, old days go whole, charts keep what matters, statuses have a course."""

from __future__ import annotations

import datetime as dt
from time import time as clock

import numpy as np
import pyarrow.parquet as pq
import pytest
from device_city import arrivals, device_city
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citytwin.city import write_city
from citytwin.errors import InputError
from citytwin.io.stores import checkpoints
from citytwin.io.stores import history as module
from citytwin.io.stores import readings as module_readings
from citytwin.io.stores.checkpoints import QUARTER
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.retention import drop_old, read_retention
from citytwin.io.stores.thinning import telling
from citytwin.io.stores.transitions import Transitions
from citytwin.state import Judgement, Quality, write_notice
from citytwin.twin.devices import Devices

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z
DAY, HOUR = 86400.0, 3600.0


@pytest.fixture
def devices(tmp_path):
    city = device_city(10)
    write_city(city, tmp_path / "city")
    return Devices(tmp_path / "city", city, city.columns)


def opened(folder, devices):
    return ReadingStore(folder, devices.keys, devices.kinds, devices.kind)


def commit(store, row, time, value, quality=None):
    first = store.committed + 1
    batch = arrivals(row, time, value, sequence=range(first, first + len(row)))
    if quality is not None:
        batch.quality[:] = quality
    store.commit(batch, first + len(row) - 1)


def known(history, moment, lookback=6 * HOUR):
    rows, time, value = history.known_at(moment, lookback)
    return {r: (t, v) for r, t, v in zip(rows.tolist(), time.tolist(), value.tolist(), strict=True)}


def plain(rows, moment, lookback=6 * HOUR):
    """The same from the rows themselves."""
    found = {}
    for row, time, value in sorted(rows, key=lambda r: r[1]):
        if moment - lookback <= time <= moment:
            found[row] = (time, value)
    return found


def quarters(begin, number):
    return range(int(begin // QUARTER), int(begin // QUARTER) + number)


def test_the_city_at_any_past_moment_is_the_same_with_checkpoints_and_without(tmp_path, devices):
    rng = np.random.default_rng(1)
    drawn = zip(rng.integers(0, 10, 300).tolist(), rng.choice(40_000, 300, False).tolist(), strict=True)
    rows = [(row, NOON + second, float(i)) for i, (row, second) in enumerate(drawn)]
    store = opened(tmp_path / "live", devices)
    on_time, late = rows[:200], rows[200:]
    commit(store, *zip(*on_time, strict=True))
    history = History(store)
    moments = [NOON + s for s in (450, 900, 901, 1800, 3600, 3601, 14_399, 20_000, 36_000, 43_200)]
    assert [known(history, m) for m in moments] == [plain(on_time, m) for m in moments]
    for quarter in quarters(NOON, 44):
        assert history.make_checkpoint(quarter)
    assert [known(history, m) for m in moments] == [plain(on_time, m) for m in moments]
    for at in range(0, 100, 20):  # what comes late is known beside the checkpoints at once
        commit(store, *zip(*late[at : at + 20], strict=True))
    assert [known(history, m) for m in moments] == [plain(rows, m) for m in moments]
    again = opened(tmp_path / "live", devices)
    assert [known(History(again), m) for m in moments] == [plain(rows, m) for m in moments]
    assert again.checkpoints.catch_up() > 0
    assert not list((tmp_path / "live/checkpoints/late").iterdir())
    assert [known(History(again), m) for m in moments] == [plain(rows, m) for m in moments]


READING = st.tuples(st.integers(0, 9), st.integers(0, 4 * 3600), st.sampled_from([0, 0, 0, 30, 1200, 7000]))
STEPS = st.lists(
    st.one_of(
        st.lists(READING, min_size=1, max_size=12),
        st.sampled_from(["compact", "checkpoint", "catch up", "restart", "join"]),
        st.tuples(st.sampled_from(["confirm", "overrule", "withdraw"]), st.integers(0, 9), st.integers(0, 4 * 3600),
                  st.integers(0, 3600)),
    ),
    min_size=3, max_size=25,
)  # fmt: skip


@given(STEPS, st.lists(st.integers(0, 5 * 3600), min_size=4, max_size=8), st.sampled_from([600.0, 6 * HOUR]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_past_state_is_what_reading_all_that_came_one_by_one_gives(tmp_path_factory, devices, steps, moments, lookback):
    """Histories of readings on time and late, doubted ones, judgements, compaction, checkpoints, restarts, in any order."""
    folder = tmp_path_factory.mktemp("any")
    store, latest, seen, said = opened(folder, devices), 0, {}, []
    for step in steps:
        if isinstance(step, list):
            latest = max([latest, *(s for _, s, late in step if not late)])
            came(store, seen, [(row, NOON + second - late) for row, second, late in step])
        elif isinstance(step, tuple):
            said.append(Judgement(f"device-{step[1]}", NOON + step[2], NOON + step[2] + step[3], step[0], "who", "why", NOON))
            batch = arrivals([], [], [])
            batch.notices = [(store.committed + 1, write_notice(said[-1]))]
            store.commit(batch, store.committed + 1)
        elif step == "checkpoint":
            made = [q for q in quarters(NOON, int(latest // QUARTER)) if q not in store.checkpoints.quarters]
            assert all(History(store).make_checkpoint(q) for q in made)
        elif step == "catch up":
            store.checkpoints.catch_up()
        elif step == "restart":
            store = opened(folder, devices)
        else:
            store.compact(0, 0 if step == "join" else 12)
    for moment in [NOON + m for m in moments]:
        assert known(History(store), moment, lookback) == naive(seen, said, moment, lookback)


def came(store, seen, rows):
    """Commit those of `rows` that are new (device and time name a reading), with a value and a quality each."""
    fresh = [r for r in dict.fromkeys(rows) if r not in seen]
    for i, r in enumerate(fresh):
        seen[r] = (float(len(seen)), Quality.TOO_FAST if i % 5 == 4 else Quality.LATE if i % 2 else Quality.GOOD)
    if fresh:
        commit(store, *zip(*fresh, strict=True), *zip(*(seen[r] for r in fresh), strict=True))


def naive(seen, said, moment, lookback):
    """Each reading by itself: is it believed, is it newer."""
    found = {}
    for (row, time), (value, quality) in sorted(seen.items(), key=lambda each: each[0][1]):
        final = quality
        for each in said:
            if each.device == f"device-{row}" and each.begin <= time <= each.end:
                believed = final in (Quality.GOOD, Quality.LATE, Quality.CONFIRMED)
                final = (
                    quality if each.verdict == "withdraw"
                    else Quality.OVERRULED if each.verdict == "overrule"
                    else final if believed and quality != Quality.TOO_FAST else Quality.CONFIRMED
                )  # fmt: skip
        if final in (Quality.GOOD, Quality.LATE, Quality.CONFIRMED) and moment - lookback <= time <= moment:
            found[row] = (time, value)
    return found


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300)), unique=True, max_size=40), st.integers(1, 5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_few_readings_of_each_device_are_found_in_whatever_order_they_came(tmp_path_factory, devices, rows, number):
    store = opened(tmp_path_factory.mktemp("few"), devices)
    for begin in range(0, len(rows), 7):
        part = rows[begin : begin + 7]
        commit(store, [r for r, _ in part], [NOON + s for _, s in part], [float(s) for _, s in part])
    found = History(store).last_before(NOON + 200, 150, number)
    listed = list(zip(found.device.tolist(), (found.time - NOON).tolist(), found.value.tolist(), strict=True))
    wanted = [sorted(s for r, s in rows if r == row and 50 <= s <= 200)[-number:] for row in range(3)]
    assert sorted(listed) == sorted((f"device-{row}", float(s), float(s)) for row in range(3) for s in wanted[row])
    assert found.time.tolist() == sorted(found.time.tolist())


def test_what_is_committed_while_a_checkpoint_is_made_is_late_for_it_and_known_beside_it(tmp_path, devices, monkeypatch):
    store = opened(tmp_path, devices)
    commit(store, [0], [NOON], [1.0])
    history, real = History(store), store.checkpoints.write

    def meanwhile(*given):
        commit(store, [0, 1], [NOON + 10, NOON + 20], [2.0, 3.0])
        return real(*given)

    monkeypatch.setattr(store.checkpoints, "write", meanwhile)
    assert history.make_checkpoint(int(NOON // QUARTER))
    assert known(history, NOON + 800) == {0: (NOON + 10, 2.0), 1: (NOON + 20, 3.0)}
    assert known(History(opened(tmp_path, devices)), NOON + 800) == {0: (NOON + 10, 2.0), 1: (NOON + 20, 3.0)}


def test_a_value_from_before_the_first_checkpoint_is_carried_on_for_days(tmp_path, devices):
    store = opened(tmp_path, devices)
    commit(store, [0, 1], [NOON - 2 * DAY, NOON], [1.0, 2.0])
    history = History(store)
    before = known(history, NOON + 100, 5 * DAY)
    for quarter in quarters(NOON, 2):
        assert history.make_checkpoint(quarter)
    assert known(history, NOON + 100, 5 * DAY) == before == {0: (NOON - 2 * DAY, 1.0), 1: (NOON, 2.0)}
    assert known(history, NOON + 1000, 5 * DAY) == before


def test_more_late_readings_than_are_looked_at_beside_remove_checkpoints_and_change_no_answer(tmp_path, devices, monkeypatch):
    monkeypatch.setattr(checkpoints, "MOST_LATE", 3)
    store = opened(tmp_path, devices)
    rows = [(row, NOON + 100.0 * row, float(row)) for row in range(10)]
    commit(store, *zip(*rows, strict=True))
    history = History(store)
    for quarter in quarters(NOON - HOUR, 8):
        assert history.make_checkpoint(quarter)
    late = [(row, NOON + 50.0 + row, 50.0 + row) for row in range(5)]
    commit(store, *zip(*late, strict=True))
    assert store.checkpoints.quarters == list(quarters(NOON - HOUR, 4))
    assert known(history, NOON + 3000) == plain(rows + late, NOON + 3000)


def test_a_quarter_of_too_many_readings_is_known_at_its_begin_and_read_on_from_there(tmp_path, devices, monkeypatch):
    store = opened(tmp_path, devices)
    rows = [(row, NOON - 500 + 10.0 * i, float(i)) for i, row in enumerate([0, 1, 2] * 40)]
    for begin in range(0, 120, 20):
        commit(store, *zip(*rows[begin : begin + 20], strict=True))
    history = History(store)
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    assert history.make_checkpoint(int(NOON // QUARTER) - 1)
    assert history.make_checkpoint(int(NOON // QUARTER))
    assert len(pq.read_table(store.checkpoints.path(int(NOON // QUARTER)))) == 3
    moments = [NOON + s for s in (-300, -1, 0, 5, 400, 690, 800)]
    assert [known(history, m) for m in moments] == [plain(rows, m) for m in moments]


def test_a_reading_of_a_kind_that_the_device_has_no_more_is_not_its_value(tmp_path, devices):
    store = opened(tmp_path / "live", devices)
    commit(store, [0, 1], [NOON, NOON], [1.0, 2.0])
    assert History(store).make_checkpoint(int(NOON // QUARTER))
    other = devices.kind.copy()
    other[0] = devices.kind[3]
    again = ReadingStore(tmp_path / "live", devices.keys, devices.kinds, other)
    history = History(again)
    assert set(known(history, NOON + 100)) == {1}
    assert len(history.readings("device-0", devices.kinds[other[0]].name, NOON - 1, NOON + 1).time) == 0
    commit(again, [0], [NOON + 50], [60.0])
    assert known(history, NOON + 100)[0] == (NOON + 50, 60.0)
    assert known(History(opened(tmp_path / "live", devices)), NOON + 100)[0] == (NOON, 1.0)  # and back


def test_files_that_are_joined_between_listing_and_reading_are_listed_again(tmp_path, devices, monkeypatch):
    store = opened(tmp_path, devices)
    for second in range(5):
        commit(store, [0, 1], [NOON + second] * 2, [1.0 * second, 2.0])
    history, real, listed = History(store), store.files, []

    def stale(days, kinds):
        found = real(days, kinds)
        if not listed:
            store.compact(0, 0)
        listed.append(found)
        return found

    monkeypatch.setattr(store, "files", stale)
    assert known(history, NOON + 10)[0] == (NOON + 4, 4.0)
    listed.clear()
    commit(store, [0, 1], [NOON + 7] * 2, [7.0, 2.0])
    assert history.window("device-0", "river_stage", NOON, NOON + 9)[1].tolist() == [0, 1, 2, 3, 4, 7]
    assert len(listed) == 2


def test_readings_of_the_last_while_are_not_joined_into_large_files(tmp_path, devices, monkeypatch):
    now = clock()
    monkeypatch.setattr(module_readings, "MOST_YOUNG", 100)
    store = opened(tmp_path, devices)
    for second in range(3):
        commit(store, [0], [now + 0.001 * second], [1.0])
        store.compact(0, 1)
    kind = store.readings / dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%d") / "river_stage"
    assert len(list(kind.iterdir())) == 3
    monkeypatch.setattr(module_readings, "YOUNG", -1000.0)
    store.compact(0, 1)
    assert len(list(kind.iterdir())) == 1


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
