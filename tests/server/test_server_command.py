"""`citytwin serve` and `citytwin demo` as people start and stop them, with the real twin, broker and devices."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from citytwin.cli import main

START = "from citytwin.cli import entry; entry()"
LONG = {"name": "Forty days", "duration": "40 day", "every": "1h", "hazards": [{"flood": {"rain": {"intensity": "9 mm/h"}}}]}


class Server:
    """A started command: its address once it says it, its words, its process."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self.log = log
        with log.open("wb") as err:
            self.process = subprocess.Popen([sys.executable, "-c", START, *arguments], stderr=err, stdout=err)
        self.url = self._address()

    def words(self) -> str:
        return self.log.read_text()

    def _address(self) -> str:
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://\S+:\d+", self.words())
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(self.words())

    def end(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@pytest.fixture
def folder(city_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(city_folder, tmp_path / "city", ignore=shutil.ignore_patterns("live"))
    return tmp_path / "city"


@pytest.fixture
def running(folder: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server("serve", str(folder), "--port", "0", "--mqtt-port", "0", log=tmp_path / "log")
    yield server
    server.end()


def answered(url: str, path: str, wanted, patience: float = 60.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        said = httpx.get(url + path, timeout=30).json()
        if wanted(said):
            return said
        time.sleep(0.1)
    raise AssertionError(said)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_taken_port_is_one_line_and_exit_code_3(folder, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", str(folder), "--port", str(port), "--mqtt-port", "0"]) == 3
    assert f"port {port} is taken" in one_line(capsys)


def test_what_is_no_city_folder_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 2
    assert "is not a city folder" in one_line(capsys)


def test_an_address_that_is_not_ours_is_one_line_and_exit_code_3(folder, capsys):
    assert main(["serve", str(folder), "--host", "192.0.2.1", "--port", "0", "--mqtt-port", "0"]) == 3
    words = capsys.readouterr().err.strip().splitlines()
    assert "can be reached by other machines" in words[0]
    assert "192.0.2.1" in words[1]
    assert len(words) == 2


def test_a_second_twin_on_one_folder_is_refused_and_a_polite_end_is_quick(running, folder, capsys):
    assert main(["serve", str(folder), "--port", "0", "--mqtt-port", "0"]) == 2
    assert "another twin runs" in one_line(capsys)
    assert main(["demo", "--folder", str(folder), "--port", "0", "--mqtt-port", "0"]) == 2
    assert "another twin runs" in capsys.readouterr().err.splitlines()[-1]

    answer = httpx.post(f"{running.url}/api/readings", content=b'{"device": "dev-0", "value": 1.5}\n')
    assert answer.json()["accepted"] == 1
    answered(running.url, "/api/things/device/dev-0", lambda t: t["state"]["river_level"]["value"] == 1.5)
    begin = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert time.monotonic() - begin < 10
    assert "Traceback" not in running.words()


def test_a_killed_server_leaves_no_worker_and_its_readings_are_there_again(running, folder, tmp_path):
    httpx.post(f"{running.url}/api/readings", content=b'{"device": "dev-0", "value": 2.5}\n')
    id = httpx.post(f"{running.url}/api/runs", json={"scenario": LONG}).json()["id"]
    answered(running.url, f"/api/runs/{id}", lambda r: r["status"] == "running")
    workers = [p for p in psutil.Process(running.process.pid).children() if "citytwin.server.worker" in p.cmdline()]
    assert workers
    running.process.kill()
    running.process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive

    again = Server("serve", str(folder), "--port", "0", "--mqtt-port", "0", log=tmp_path / "log2")
    try:
        answered(again.url, "/api/things/device/dev-0", lambda t: t["state"]["river_level"]["value"] == 2.5)
        said = httpx.get(f"{again.url}/api/runs/{id}").json()
        assert (said["status"], said["error"]) == ("failed", "the server stopped before this run was done")
    finally:
        again.process.send_signal(signal.SIGINT)
        again.process.wait(20)


def test_demo_makes_a_city_whose_devices_are_heard(tmp_path):
    arguments = ("--folder", str(tmp_path / "demo"), "--people", "2000", "--devices", "300", "--port", "0", "--mqtt-port", "0")
    demo = Server("demo", *arguments, log=tmp_path / "log")
    try:
        counts = answered(demo.url, "/api/quality", lambda q: q["counts"]["good"] > 20)["counts"]
        assert counts["unknown_device"] == counts["unreadable"] == 0
        assert httpx.get(f"{demo.url}/api/city").json()["tables"]["device"] == 300
        fleets = [p for p in psutil.Process(demo.process.pid).children() if "citytwin.cli.fleet" in p.cmdline()]
        assert len(fleets) == 1
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(20) == 0
        assert not fleets[0].is_running()
    finally:
        demo.end()
    assert "Traceback" not in demo.words()


def test_a_server_that_is_stopped_while_it_starts_leaves_nothing_behind(folder, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", str(folder), "--port", "0", "--mqtt-port", "0"], stderr=log
        )
    end = time.monotonic() + 60
    while not (folder / "live" / "lock").exists() and time.monotonic() < end:
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
