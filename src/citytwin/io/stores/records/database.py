"""One database of records: opened, brought to the newest form, written in transactions that are all or nothing."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from citytwin.errors import InputError, OutsideError, TwinError, nearest

FILE = "records.db"
VARIABLE = "CITYTWIN_RECORDS"  # the URL of a database that takes the place of the file in the city folder
KINDS = ("sqlite", "postgresql")
BUSY_SECONDS = 15.0  # that a writer waits for another process
MIGRATING = 7_112_021  # the advisory lock of PostgreSQL under which tables are made


class Records:
    """A database of records. `read()` and `write()` give a connection for the length of a `with` block, in any thread."""

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self.engine = engine
        self.where = where
        sqlite = engine.dialect.name == "sqlite"
        # SQLite lets who waits sleep and look again: threads of ours wait for each other here, in turn, and not there
        self._turn: AbstractContextManager[Any] = threading.Lock() if sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to ask with. Raises OutsideError."""
        with told(self.where), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection whose work is kept when the block ends well, and undone when it does not. Raises OutsideError.

        In SQLite only one writes at a time, from the start of the block; others wait.
        """
        with (
            self._turn,
            told(self.where),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


def open_records(where: Path | str) -> Records:
    """The records of a city folder (`CITY/live/records.db`), or of the database at a URL (`postgresql://...`).

    Where the environment variable `CITYTWIN_RECORDS` has a URL, it is meant in place of the folder.

    The tables are made or brought to the newest form. Raises OutsideError, InputError.
    """
    url = _url(where)
    shown = url.render_as_string(hide_password=True)
    with told(shown):
        try:
            engine = sa.create_engine(url, **_options(url))
        except ModuleNotFoundError as error:
            raise OutsideError(f'"{error.name}" is not installed', shown, 'pip install "citytwin[postgresql]"') from error
        if url.get_backend_name() == "sqlite":
            _tune(engine)
        records = Records(engine, shown)
        try:
            with records.write() as connection:
                upgrade(connection)
        except BaseException:
            engine.dispose()
            raise
    return records


def _url(where: Path | str) -> sa.URL:
    if isinstance(where, Path) and os.environ.get(VARIABLE):
        return _url(os.environ[VARIABLE])
    if isinstance(where, Path):
        folder = where / "live"
        folder.mkdir(parents=True, exist_ok=True)
        return sa.URL.create("sqlite", database=str(folder / FILE))
    try:
        url = sa.make_url(where)
    except sa.exc.ArgumentError as error:
        raise InputError("that is not the URL of a database", hint="as in postgresql://user@host/database") from error
    if url.get_backend_name() not in KINDS:
        raise InputError(f'no database "{url.get_backend_name()}"', "records", nearest(url.get_backend_name(), KINDS))
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"pool_pre_ping": True, "pool_size": 4}


def _tune(engine: sa.Engine) -> None:
    """WAL, each commit on the disk before it counts, and transactions that begin when we say so."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None  # sqlite3 of Python begins nothing by itself
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on", "journal_size_limit = 67108864"):
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Bring the tables to form `to`, within the transaction of `connection`; other processes wait."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(:n)"), {"n": MIGRATING})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise OutsideError("the records were written by a newer citytwin", hint="update citytwin") from error


@contextmanager
def told(where: str) -> Iterator[None]:
    """Errors of the database in one line; a full disk is known as one."""
    try:
        yield
    except TwinError:
        raise
    except sa.exc.SQLAlchemyError as error:
        words = str(getattr(error, "orig", None) or error).splitlines()[0]
        cause: Exception = OSError(errno.ENOSPC, words) if "disk is full" in words else error
        raise OutsideError(f"the records cannot be read or written: {words}", where) from cause
