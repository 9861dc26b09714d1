"""Laws of the history's files: each reading once, in the right day, whatever is interrupted."""

from __future__ import annotations

import errno
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from device_city import arrivals

from citytwin.columns import shipped
from citytwin.errors import OutsideError
from citytwin.io.stores import compaction
from citytwin.io.stores import readings as module
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.thinning import thinned
from citytwin.state import Quality

KINDS = list(shipped().kinds.values())
NAMES = [k.name for k in KINDS]
KEYS = ["g0", "g1", "t0"]
OF = np.array([NAMES.index("river_stage"), NAMES.index("river_stage"), NAMES.index("air_temperature")], dtype=np.int32)
NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def opened(folder):
    return ReadingStore(folder, KEYS, KINDS, OF)


def filled(folder, commits=6, each=10):
    """A store of `commits` commits; readings 10 s apart, places in the log without a gap."""
    store = opened(folder)
    for c in range(commits):
        place = np.arange(c * each, (c + 1) * each)
        store.commit(arrivals(place % 3, NOON + 10.0 * place, place, sequence=place + 1), (c + 1) * each)
    return store


def kept(folder):
    """All readings as plain DuckDB sees them: (sequence, part, device, value), sorted."""
    query = f"select sequence, part, device, value from '{folder}/readings/**/*.parquet' order by all"
    return duckdb.sql(query).fetchall()


def test_pandas_and_duckdb_read_the_files_without_us(tmp_path):
    filled(tmp_path)
    table = pd.read_parquet(tmp_path / "readings").sort_values("sequence")
    assert table["value"].tolist() == list(range(60))
    assert table["device"].tolist()[:3] == KEYS
    assert table["kind"].tolist()[2] == "air_temperature"
    assert table["time"].iloc[0] == pd.Timestamp("2026-11-21 12:00:00")
    assert len(kept(tmp_path)) == 60


def test_a_late_reading_lands_in_the_day_that_it_was_measured(tmp_path):
    store = opened(tmp_path)
    store.commit(arrivals([0, 0], [NOON - 86400, NOON], [1, 2], arrived=[NOON, NOON]), 2)
    days = {p.parts[-3] for p in (tmp_path / "readings").rglob("*.parquet")}
    assert days == {"2026-11-20", "2026-11-21"}


def test_what_is_not_believed_is_kept_apart_with_its_reason_and_raw_value(tmp_path):
    store = opened(tmp_path)
    batch = arrivals([0, -1, 2], [NOON] * 3, [99, np.nan, 20])
    batch.quality[:] = [Quality.OUTSIDE_BOUNDS, Quality.UNKNOWN_DEVICE, Quality.GOOD]
    batch.raw[1] = ("city.noise.nobody", b"50")
    store.commit(batch, 3)
    table = pd.read_parquet(tmp_path / "rejected").sort_values("sequence")
    assert table["reason"].tolist() == ["outside_bounds", "unknown_device"]
    assert table["raw"].tolist() == ["99.0", "50"]
    assert table["device"].tolist() == ["g0", "city.noise.nobody"]
    assert History(store).counts() == {"good": 1, "outside_bounds": 1, "unknown_device": 1}


def test_files_newer_than_the_commit_record_are_undone_at_the_start(tmp_path):
    store = filled(tmp_path, commits=2)
    record = (tmp_path / "committed.json").read_text()
    store.commit(arrivals([0], [NOON], [5], sequence=[21]), 21)
    (tmp_path / "committed.json").write_text(record)  # as if killed before the record was replaced
    again = opened(tmp_path)
    assert again.committed == 20
    assert len(kept(tmp_path)) == 20


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_full_disk_gives_clear_words_and_the_same_commit_works_later(tmp_path, monkeypatch, fails_at):
    store, real, calls = filled(tmp_path, commits=1), module.write_partial, []

    def full(table, path, *form):
        calls.append(path)
        if len(calls) > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(table, path, *form)

    batch = arrivals([0, 0], [NOON + 500, NOON + 90000], [1, 2], sequence=[11, 12])  # two days, two files
    monkeypatch.setattr(module, "write_partial", full)
    with pytest.raises(OutsideError, match="the disk is full"):
        store.commit(batch, 12)
    assert len(kept(tmp_path)) == 10
    assert not list(tmp_path.rglob("*.partial"))
    monkeypatch.undo()
    store.commit(batch, 12)
    assert len(kept(tmp_path)) == 12


def test_compaction_changes_nothing_but_the_files(tmp_path):
    store = filled(tmp_path)
    before = kept(tmp_path)
    assert store.compact(most_recent=2) == 6
    assert kept(tmp_path) == before
    names = sorted(str(p.relative_to(tmp_path / "readings")) for p in (tmp_path / "readings").rglob("*.parquet"))
    assert names == ["2026-11-21/air_temperature/1-60.parquet", "2026-11-21/river_stage/1-60.parquet"]
    assert store.compact(most_recent=2) == 0
    table = pd.read_parquet(tmp_path / "readings/2026-11-21/river_stage")
    assert table.equals(table.sort_values(["device", "time"]).reset_index(drop=True))


def test_sorted_files_of_a_kind_become_one(tmp_path):
    store = filled(tmp_path, commits=3)
    store.compact(most_recent=0)
    for c in (3, 4):
        place = np.arange(c * 10, c * 10 + 10)
        store.commit(arrivals(place % 3, NOON + 10.0 * place, place, sequence=place + 1), c * 10 + 10)
        store.compact(most_recent=0)
    before = kept(tmp_path)
    assert store.compact(most_recent=0, most_sorted=2) == 6
    assert kept(tmp_path) == before


def test_what_is_committed_while_files_are_sorted_is_kept_and_sorted_the_next_time(tmp_path, monkeypatch):
    store = filled(tmp_path)
    real, late = store._replace, iter((60, 70))

    def replace(day, files):
        for begin in late:  # both while the first day is at work
            place = np.arange(begin, begin + 10)
            store.commit(arrivals(place % 3, NOON + 10.0 * place, place, sequence=place + 1), begin + 10)
        real(day, files)

    monkeypatch.setattr(store, "_replace", replace)
    assert store.compact(most_recent=2) == 6
    assert len(kept(tmp_path)) == 80
    assert store.touched("2026-11-21")
    assert store.compact(most_recent=0) == 2
    assert len(kept(tmp_path)) == 80
    assert not list(tmp_path.rglob("recent/*.parquet"))


def test_no_more_readings_become_one_file_than_fit_into_little_memory(tmp_path, monkeypatch):
    store = filled(tmp_path)
    before = kept(tmp_path)
    monkeypatch.setattr(compaction, "MOST_READINGS", 25)
    assert store.compact(most_recent=2) == 6
    assert max(pd.read_parquet(p).sequence.size for p in tmp_path.rglob("river_stage/*.parquet")) <= 20
    assert kept(tmp_path) == before
    store.compact(most_recent=2, most_sorted=1)
    assert store.compact(most_recent=2, most_sorted=1) == 0  # none is rewritten for nothing
    assert kept(tmp_path) == before


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", range(10))  # a note and two files renamed, six removed, the note removed
def test_a_compaction_killed_at_any_step_is_finished_or_undone_at_the_next_start(tmp_path, monkeypatch, step):
    store = filled(tmp_path)
    before, left = kept(tmp_path), [step]

    def counted(real):
        def call(self, *args, **kwargs):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(self, *args, **kwargs)

        return call

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    with pytest.raises(Killed):
        store.compact(most_recent=2)
    monkeypatch.undo()
    opened(tmp_path)
    assert kept(tmp_path) == before
    assert not list(tmp_path.rglob("_compaction.json"))
    assert not list(tmp_path.rglob("*.partial"))


def test_the_history_finds_a_window_before_and_after_compaction(tmp_path):
    store = filled(tmp_path)
    history = History(store)
    for _ in range(2):
        time, value = history.window("g1", "river_stage", NOON + 100, NOON + 200)
        assert value.tolist() == [10, 13, 16, 19]
        assert time.tolist() == [NOON + 100, NOON + 130, NOON + 160, NOON + 190]
        store.compact(most_recent=2)


def test_the_state_of_a_past_moment_is_the_last_reading_until_then(tmp_path):
    known = History(filled(tmp_path)).last_before(NOON + 45, 3600)
    assert dict(zip(known.device.tolist(), known.value.tolist(), strict=True)) == {"g0": 3, "g1": 4, "t0": 2}


def test_readings_since_a_place_come_in_the_order_of_the_log(tmp_path):
    store = filled(tmp_path)
    store.compact(most_recent=2)
    assert History(store).since(55).value.tolist() == [55, 56, 57, 58, 59]


def test_thinning_keeps_extremes_and_means():
    time = np.arange(1000.0)
    value = np.sin(time)
    found = thinned(time, value, 0, 1000, 10)
    assert len(found["time"]) == 10
    assert max(found["high"]) == value.max()
    assert min(found["low"]) == value.min()
    assert np.mean(found["value"]) == pytest.approx(value.mean())
    assert thinned(time[:5], value[:5], 0, 5, 10)["value"] == value[:5].tolist()
