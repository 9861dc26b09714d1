"""What clients of SensorThings have made, kept in one DuckDB file of a city's live folder, and asked together with the city.

    number              the number that each device, kind and quantity of the city has for ever
    Things ...          one table for each entity set, for what clients made and for changed copies of what the city has
    hidden              entities of the city that have a changed copy, or (`gone`) that a client deleted

A change is one transaction: durable when `change` ends, undone when it raises. Reading happens on cursors of their own, which
see the last committed state. What the city has lies in memory tables of the same connection (`load`), so one query sees both.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from citytwin.errors import InputError, OutsideError

PATIENCE = 20.0  # seconds that a question may take
NAMED = "name varchar, description varchar, properties varchar"
TABLES = {
    "number": "name varchar, id bigint",
    "counter": "next bigint",
    "hidden": "entities varchar, id bigint, gone boolean",
    "Things": f"id bigint, {NAMED}",
    "Locations": f'id bigint, {NAMED}, "encodingType" varchar, location varchar, shape blob, lon double, lat double',
    "HistoricalLocations": 'id bigint, time timestamp, "Thing" bigint',
    "Datastreams": f'id bigint, {NAMED}, "observationType" varchar, "unitOfMeasurement" varchar, "observedArea" varchar, '
    '"Thing" bigint, "Sensor" bigint, "ObservedProperty" bigint',
    "Sensors": f'id bigint, {NAMED}, "encodingType" varchar, metadata varchar',
    "ObservedProperties": f"id bigint, {NAMED}, definition varchar",
    "FeaturesOfInterest": f'id bigint, {NAMED}, "encodingType" varchar, feature varchar, shape blob, lon double, lat double',
    "Observations": 'id bigint, "begin" timestamp, "end" timestamp, "resultTime" timestamp, result varchar, number double, '
    'text varchar, "resultQuality" varchar, valid_begin timestamp, valid_end timestamp, parameters varchar, '
    '"Datastream" bigint, "FeatureOfInterest" bigint',
    "located": "thing bigint, location bigint",
    "was_located": "historical bigint, location bigint",
    "generated": "location bigint, feature bigint",
}  # fmt: skip


class SensingStore:
    """The file `path`. `own` is its name in SQL, `main` holds the city's tables. Methods may be called from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writing = threading.RLock()
        try:
            self._database = duckdb.connect(config={"threads": 2, "memory_limit": "1GB"})
            self._database.execute("set global TimeZone = 'UTC'")
            self._database.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as own")
            for name, columns in TABLES.items():
                self._database.execute(f'create table if not exists own."{name}" ({columns})')
            if not self._database.execute("select 1 from own.counter").fetchall():
                self._database.execute("insert into own.counter values (1)")
        except duckdb.Error as error:
            raise OutsideError(f"cannot be opened: {str(error).splitlines()[0]}", str(path)) from error

    def close(self) -> None:
        """Write what waits into the file, and let go of it."""
        with self._writing:
            self._database.close()

    def function(self, name: str, work: Any, takes: Sequence[str], gives: str) -> None:
        """Declare `work` (Arrow arrays in, Arrow array out) as a function of SQL."""
        create: Any = self._database.create_function  # its stubs do not know the words for its enumerations
        create(name, work, list(takes), gives, type="arrow", null_handling="special")

    @contextmanager
    def reading(self, patience: float = PATIENCE) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own, to ask; what takes longer than `patience` (s) ends with an InputError."""
        cursor = self._database.cursor()
        timer = threading.Timer(patience, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield cursor
        except duckdb.InterruptException as error:
            raise InputError(f"the answer takes longer than {patience:g} s", "query", "ask for less") from error
        except duckdb.Error as error:
            raise _wrong(error, self._path) from error
        finally:
            timer.cancel()
            cursor.close()

    @contextmanager
    def change(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction, one at a time: kept for good when the block ends, undone when it raises."""
        with self._writing:
            cursor = self._database.cursor()
            try:
                cursor.execute("begin")
                yield cursor
                cursor.execute("commit")
            except BaseException as error:
                with contextlib.suppress(duckdb.Error):  # a failed commit has ended the transaction
                    cursor.execute("rollback")
                if isinstance(error, duckdb.Error):
                    raise _wrong(error, self._path) from error
                raise
            finally:
                cursor.close()

    def next_ids(self, cursor: duckdb.DuckDBPyConnection, number: int = 1) -> int:
        """The first of `number` new ids; no id is given twice. Within a change."""
        (first,) = cursor.execute("select next from own.counter").fetchone() or (1,)
        cursor.execute("update own.counter set next = $next", {"next": first + number})
        return int(first)

    def numbers(self, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of things of the city called `names`: those they always had, new ones for new things."""
        with self.change() as cursor:
            known = dict(cursor.execute("select name, id from own.number").fetchall())
            new = [n for n in names if n not in known]
            if new:
                first = self.next_ids(cursor, len(new))
                ids = range(first, first + len(new))
                fresh = pa.table({"name": new, "id": pa.array(ids, pa.int64())})
                cursor.register("fresh", fresh)
                cursor.execute("insert into own.number select name, id from fresh")
                cursor.unregister("fresh")
                known |= dict(zip(new, ids, strict=True))
        return np.array([known[n] for n in names], dtype=np.int64)

    def load(self, name: str, table: pa.Table) -> None:
        """Put `table` into memory under `name`, in the place of what was there."""
        with self._writing:
            self._database.register("loaded", table)
            self._database.execute(f'create or replace table main."{name}" as select * from loaded')  # noqa: S608
            self._database.unregister("loaded")


DISK = (  # what the words of a question cannot bring about
    duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException,
    duckdb.TransactionException, duckdb.SerializationException, duckdb.PermissionException, duckdb.CatalogException,
)  # fmt: skip


def _wrong(error: duckdb.Error, path: Path) -> Exception:
    line = str(error).splitlines()[0]
    if isinstance(error, duckdb.OutOfMemoryException):
        return InputError("the answer needs more memory than there is", "query", "ask for less")
    if isinstance(error, DISK):
        return OutsideError(f"cannot be read or written: {line}", str(path))
    return InputError(f"the question cannot be answered: {line.split('Error: ', 1)[-1][:300]}", "query")
