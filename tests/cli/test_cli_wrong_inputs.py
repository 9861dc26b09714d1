"""Wrong inputs and failing disks: one clear line, the right exit code, no traceback, nothing half written."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = "name: x\nduration: 20 min\nevery: 10 min\nhazards:\n  - flood: {rain: {intensity: 60 mm/h, duration: 10 min}}\n"


def citytwin(*arguments: object, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real program; `limit` is the largest file that it may write, in bytes."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", "from citytwin.cli import entry; entry()", *map(str, arguments)],
        capture_output=True, text=True, timeout=240, preexec_fn=restrict, check=False,
    )  # fmt: skip


def fails(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("citytwin: ")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    return path


def test_a_wrong_command_is_told_with_the_nearest() -> None:
    fails(citytwin("chek"), 2, 'did you mean "check"?')


def test_a_wrong_option_is_told() -> None:
    fails(citytwin("run", "--bananas"), 2, "--bananas")


def test_a_misspelt_key_is_told_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("intensity", "intensty"))
    fails(citytwin("check", path), 2, 'did you mean "intensity"?')


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "- " * 50_000 + "x", "a: &a [x]\nb: [" + "*a," * 100 + "]"])
@pytest.mark.parametrize("command", ["check", "optimise"])
def test_yaml_that_is_short_to_write_and_long_to_read_is_one_line(tmp_path: Path, command: str, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    more = ["--city", str(tmp_path), "--out", str(tmp_path / "out")] if command == "optimise" else []
    done = citytwin(command, path, *more)
    fails(done, 2, str(path))
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_wrong_executor_is_told_for_a_single_run_too(scenario: Path, made_city: Path, tmp_path: Path) -> None:
    done = citytwin("run", scenario, "--city", made_city, "--out", tmp_path / "out", "--executor", "foo")
    fails(done, 2, "allowed: local, dask://HOST:PORT")
    assert not (tmp_path / "out").exists()


def test_a_group_without_a_command_shows_its_commands_line_by_line() -> None:
    done = citytwin("city")
    assert done.returncode == 2
    assert "  synthesize " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_folder_that_exists_is_not_said_to_be_replaceable(scenario: Path, made_city: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = citytwin("run", scenario, "--city", made_city, "--out", tmp_path / "out")
    fails(done, 2, "exists")
    assert "--replace" not in done.stderr


def test_check_lists_all_problems_as_json(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("duration: 20 min", "duration: 20 m\nmember: 3"))
    done = citytwin("check", path, "--json")
    assert done.returncode == 2
    assert len(json.loads(done.stdout)["problems"]) == 2


def test_a_missing_scenario_is_told(tmp_path: Path) -> None:
    fails(citytwin("check", tmp_path / "none.yaml"), 2, "none.yaml")


def test_a_folder_that_is_no_city_is_told(scenario: Path, tmp_path: Path) -> None:
    fails(citytwin("run", scenario, "--city", tmp_path, "--out", tmp_path / "run"), 2, "not a city folder")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    fails(citytwin("report", tmp_path, "--out", tmp_path / "r.pdf"), 2, "not a run folder")
    fails(citytwin("compare", tmp_path, tmp_path), 2, "not a run folder")


def test_a_run_folder_in_use_is_kept(scenario: Path, tmp_path: Path, made_city: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    fails(citytwin("run", scenario, "--city", made_city, "--out", tmp_path / "run"), 2, "exists")
    assert (tmp_path / "run" / "precious").exists()


def test_a_full_disk_leaves_no_half_written_run(scenario: Path, tmp_path: Path, made_city: Path) -> None:
    done = citytwin("run", scenario, "--city", made_city, "--out", tmp_path / "run", limit=20_000)
    fails(done, 3, "cannot write")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.yaml"]


def test_a_full_disk_leaves_no_half_written_city(tmp_path: Path) -> None:
    done = citytwin("city", "synthesize", tmp_path / "c", "--people", 500, "--devices", 20, "--seed", 1, limit=20_000)
    fails(done, 3, "cannot write")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_executor_is_told(scenario: Path, tmp_path: Path, made_city: Path) -> None:
    done = citytwin("run", scenario, "--city", made_city, "--out", tmp_path / "run", "--members", 2, "--executor", "moon")
    fails(done, 2, "local")
