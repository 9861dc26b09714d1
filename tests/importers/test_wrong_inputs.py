"""A wrong input gives one clear line and exit code 2 or 3, and leaves no folder."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citytwin.city import read_city
from citytwin.cli import main
from citytwin.io.stores.lock import FolderLock

Write = Callable[..., Path]
SENSORS = (
    "kind,column,unit,meaning,low,high,usual_low,usual_high,period,rate,still,department,share,model\n"
    "beehive,beehive_weight,kg,Weight of a beehive,0,200,20,80,600,,,parks,1,\n"
)


def refused(capsys: pytest.CaptureFixture[str], out: Path, code: int, words: str, *arguments: object) -> None:
    """The build ends with `code` and one line that says `words`, and nothing is left behind."""
    before = sorted(p.name for p in out.parent.iterdir())
    assert main(["city", "build", str(out), *map(str, arguments)]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("building ")]
    assert len(lines) == 1, lines
    assert words in lines[0]
    assert sorted(p.name for p in out.parent.iterdir()) == before


@pytest.mark.parametrize(("name", "content", "words"), [
    ("empty.osm.pbf", b"", "is empty"), ("none.osm", b'<osm version="0.6"></osm>', "neither buildings nor roads"),
    ("picture.osm.pbf", b"\x89PNG....", "is not an OpenStreetMap file"), ("cut.osm.gz", b"\x1f\x8b\x08\x00", "damaged"),
    ("cut.osm", b'<osm version="0.6"><node id="1" lat="1" lon="1"/><way id=', "damaged"),
    ("cut.osm.pbf", b"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18\x7b\x10", "damaged"),
    ("page.osm", b"<html></html>", "is not an Open"),
])  # fmt: skip
def test_a_map_that_is_none_is_refused(
    name: str, content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    refused(capsys, tmp_path / "city", 2, words, "--osm", tmp_path / name)


def test_a_truncated_extract_is_refused(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (shared / "helsinki" / "Helsinki.osm.pbf").read_bytes()
    (tmp_path / "half.osm.pbf").write_bytes(whole[: len(whole) // 2])
    refused(capsys, tmp_path / "city", 2, "damaged or cut off", "--osm", tmp_path / "half.osm.pbf")


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, tmp_path / "city", 2, "nowhere.osm.pbf: no such file", "--osm", tmp_path / "nowhere.osm.pbf")


@pytest.mark.parametrize(("more", "fill", "words"), [
    ({"west": 20.0}, 5.0, "lies elsewhere"), ({"crs": None}, 5.0, "no coordinate reference system"), ({}, np.nan, "only voids"),
    ({"nodata": -9999.0}, -9999.0, "only voids"), ({}, -32768.0, "only voids"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_terrain_that_says_nothing_here_is_refused(
    more: dict[str, Any],
    fill: float,
    words: str,
    town: Any,
    write_raster: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dem = write_raster("dem.tif", np.full((100, 100), fill), **more)
    refused(capsys, tmp_path / "city", 2, words, "--osm", town.write(tmp_path / "t.osm"), "--dem", dem)


def test_terrain_that_is_no_raster_is_refused(town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    osm = town.write(tmp_path / "t.osm")
    refused(capsys, tmp_path / "city", 2, "is not a raster", "--osm", osm, "--dem", osm)
    (tmp_path / "x.hgt.zip").write_bytes(b"PK\x03\x04 no zip")
    refused(capsys, tmp_path / "city", 2, "damaged zip", "--osm", osm, "--dem", tmp_path / "x.hgt.zip")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    refused(capsys, tmp_path / "city", 2, "no terrain file", "--osm", osm, "--dem", tmp_path / "y.zip")


def test_too_many_cells_are_refused_with_a_size_that_fits(
    town: Any, slope: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("citytwin.io.importers.terrain.MOST_CELLS", 1000)
    refused(capsys, tmp_path / "c", 2, "use --cell-size 75", "--osm", town.write(tmp_path / "t.osm"), "--dem", slope)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--bbox", "1,2,3"], "--bbox"), (["--bbox", "5,50,4,51"], "no box"),
    (["--bbox", "50,10,51,11"], "neither buildings nor roads"),
    (["--crs", "4326"], "not a projection in metres"), (["--crs", "999999"], "not known"), (["--ages", "0.9,0.9"], "--ages"),
    (["--assets", "devices"], "--assets"), (["--licence", "x"], "--licence"), (["--osmm", "x"], "--osm"),
])  # fmt: skip
def test_a_wrong_option_is_refused(
    arguments: list[str], words: str, town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, tmp_path / "city", 2, words, "--osm", town.write(tmp_path / "t.osm"), *arguments)


def test_a_folder_that_exists_is_kept_unless_replaced(town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    osm, out = town.write(tmp_path / "t.osm"), tmp_path / "city"
    out.mkdir()
    (out / "mine.txt").write_text("keep me")
    refused(capsys, out, 2, "exists", "--osm", osm)
    refused(capsys, out, 2, "not a city folder", "--osm", osm, "--replace")
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_what_people_and_a_twin_keep_beside_a_city_survives_its_replacement(town: Any, tmp_path: Path) -> None:
    osm, out = town.write(tmp_path / "t.osm"), tmp_path / "city"
    assert main(["city", "build", str(out), "--osm", str(osm)]) == 0
    (out / "stale.parquet").write_bytes((out / "building.parquet").read_bytes())
    own = ("rules.toml", "channels.toml", "mappings.toml", "sensors.csv", "signals.toml", "impact.toml", "notes.txt")
    words = {name: f"# {name}\n" for name in own} | {"sensors.csv": SENSORS}
    for name, text in words.items():
        (out / name).write_text(text)
    (out / "live" / "history").mkdir(parents=True)
    (out / "live" / "records.db").write_text("the journal")
    (out / "tiles").mkdir()
    assert main(["city", "build", str(out), "--osm", str(osm), "--name", "Newer", "--replace"]) == 0
    assert {name: (out / name).read_text() for name in own} == words
    assert (out / "live" / "records.db").read_text() == "the journal"
    assert (out / "live" / "history").is_dir()
    assert not (out / "tiles").exists()
    assert not (out / "stale.parquet").exists()
    assert read_city(out).facts.name == "Newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["city", "t.osm"]


def test_a_city_on_which_a_twin_runs_is_not_replaced(town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    osm, out = town.write(tmp_path / "t.osm"), tmp_path / "city"
    assert main(["city", "build", str(out), "--osm", str(osm)]) == 0
    capsys.readouterr()
    before = (out / "city.toml").read_bytes()
    twin = FolderLock(out / "live" / "lock")
    try:
        refused(capsys, out, 2, "another twin runs", "--osm", osm, "--replace")
    finally:
        twin.release()
    assert (out / "city.toml").read_bytes() == before


def test_rules_that_people_wrote_survive_a_made_citys_replacement(tmp_path: Path) -> None:
    make = ["city", "synthesize", str(tmp_path / "made"), "--people", "200", "--devices", "20"]
    assert main(make) == 0
    (tmp_path / "made" / "rules.toml").write_text("# mine\n")
    assert main([*make, "--replace"]) == 0
    assert (tmp_path / "made" / "rules.toml").read_text() == "# mine\n"


def test_a_full_disk_is_one_line_and_no_half_city(town: Any, slope: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the same error from the same calls."""
    osm, out = town.write(tmp_path / "t.osm"), tmp_path / "city"
    program = "import sys; from citytwin.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "city", "build", str(out), "--osm", str(osm), "--dem", str(slope)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("citytwin: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["slope.tif", "t.osm"]


def test_info_of_what_is_no_city_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["city", "info", str(tmp_path)]) == 2
    assert "is not a city folder" in capsys.readouterr().err
