"""What clients made is kept: through a kill at any moment, exactly as the last change that was answered left it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from citytwin.errors import InputError
from citytwin.io.stores.sensing import SensingStore

WORK = """
import sys
from pathlib import Path
from citytwin.io.stores.sensing import SensingStore
store = SensingStore(Path(sys.argv[1]))
for n in range(100_000):
    with store.change() as cursor:
        id = store.next_ids(cursor)
        cursor.execute('insert into own."Things" (id, name) values ($id, $name)', {"id": id, "name": f"thing {id}"})
    print(id, flush=True)
"""


def test_what_was_answered_survives_a_kill(tmp_path):
    path = tmp_path / "sensorthings.duckdb"
    seen = 0
    for stop in (7, 40, 3):
        with subprocess.Popen([sys.executable, "-c", WORK, str(path)], stdout=subprocess.PIPE, text=True) as work:
            for _ in range(stop):
                seen = int(work.stdout.readline())
            os.kill(work.pid, signal.SIGKILL)
            rest = [int(line) for line in work.stdout.read().split()]
        seen = max([seen, *rest])
        store = SensingStore(path)
        with store.reading() as cursor:
            ids = [n for (n,) in cursor.execute('select id from own."Things" order by id').fetchall()]
        store.close()
        assert len(set(ids)) == len(ids)
        assert set(range(1, seen + 1)) <= set(ids)


def test_a_change_that_fails_leaves_nothing(tmp_path):
    store = SensingStore(tmp_path / "sensorthings.duckdb")
    with pytest.raises(InputError), store.change() as cursor:  # noqa: PT012
        cursor.execute('insert into own."Things" (id, name) values (1, $name)', {"name": "x"})
        raise InputError("no")
    with store.reading() as cursor:
        assert cursor.execute('select count(*) from own."Things"').fetchone() == (0,)
    store.close()


def test_numbers_stay_over_restarts_and_new_things_get_new_ones(tmp_path):
    path = tmp_path / "sensorthings.duckdb"
    store = SensingStore(path)
    first = store.numbers(["device/a", "device/b"]).tolist()
    store.close()
    store = SensingStore(path)
    with store.change() as cursor:
        other = store.next_ids(cursor)
    later = store.numbers(["device/b", "device/c", "device/a"]).tolist()
    store.close()
    assert [later[2], later[0]] == first
    assert later[1] > other > max(first)
