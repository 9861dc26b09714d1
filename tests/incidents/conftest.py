"""Fixtures of the tests about rules, alerts, records and channels."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from citytwin.io.stores.records import Records, open_records


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server of our own; skips where it or its driver is not installed."""
    pytest.importorskip("psycopg")
    found = shutil.which("postgres")
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    programs = Path(found).resolve().parent
    with tempfile.TemporaryDirectory(prefix="citytwin-postgres-") as folder, socket.socket() as free:
        who: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "nobody")
            who = {"user": "nobody"}
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        made = [programs / "initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "twin"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **who)
        free.close()
        server = subprocess.Popen(
            [programs / "postgres", "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", folder,
             "-c", "fsync=off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **who,
        )  # fmt: skip
        try:
            _wait_for(f"postgresql+psycopg://twin@127.0.0.1:{port}/postgres")
            yield f"postgresql://twin@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            server.wait(10)


def _wait_for(url: str) -> None:
    engine = sa.create_engine(url)
    for _ in range(200):
        try:
            engine.connect().close()
            break
        except sa.exc.OperationalError:
            time.sleep(0.05)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    """Empty records, in each kind of database."""
    if request.param == "sqlite":
        opened = open_records(tmp_path)
    else:
        url = request.getfixturevalue("postgres")
        name = f"t{uuid.uuid4().hex}"
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"create database {name}"))
        engine.dispose()
        opened = open_records(url.rsplit("/", 1)[0] + f"/{name}")
    yield opened
    opened.close()
