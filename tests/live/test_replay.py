"""Laws of replay: the history equals the file, gaps and all."""

from __future__ import annotations

import asyncio
import time

import duckdb
import numpy as np
import pandas as pd
import pytest
from test_live_twin import counted, living, until

from citytwin.cli import main
from citytwin.errors import InputError
from citytwin.io.feeds.recording import read_recording
from citytwin.io.feeds.replay import replay


@pytest.fixture
def recording():
    moments = pd.date_range("2012-03-01", periods=300, freq="5min", tz="UTC")
    rng = np.random.default_rng(3)
    wide = pd.DataFrame(
        {"time": moments, "device-2": rng.normal(15, 2, 300).round(2), "device-7": rng.normal(14, 2, 300).round(2)}
    )
    wide.loc[rng.random(300) < 0.2, "device-7"] = np.nan  # gaps
    return wide


@pytest.mark.parametrize("form", ["wide.csv", "wide.parquet", "long.csv"])
def test_the_history_equals_the_file_gaps_and_all(city_folder, tmp_path, recording, form):
    path = tmp_path / form
    long = recording.melt("time", var_name="device", value_name="value").dropna()
    written = long if form.startswith("long") else recording
    written.to_parquet(path) if path.suffix == ".parquet" else written.to_csv(path, index=False)

    async def story(twin):
        n = await replay(read_recording(path), twin.accept)
        await until(lambda: counted(twin) == n)
        assert {k: v for k, v in twin.quality()["counts"].items() if v} == {"good": n}
        return n

    n = asyncio.run(living(city_folder, story))
    kept = duckdb.sql(f"select device, time, value from '{city_folder}/live/readings/**/*.parquet' order by all").df()
    wanted = long.assign(time=long["time"].dt.tz_localize(None)).sort_values(["device", "time"])
    assert len(kept) == n == len(wanted) < 600
    assert kept["device"].tolist() == wanted["device"].tolist()
    assert kept["value"].tolist() == wanted["value"].tolist()
    assert (kept["time"].to_numpy() == wanted["time"].to_numpy()).all()


def test_a_recording_can_be_published_over_mqtt_from_the_command_line(city_folder, tmp_path, recording, capsys):
    path = tmp_path / "r.csv"
    recording.rename(columns={"device-7": "nobody"}).dropna().to_csv(path, index=False)

    async def story(twin):
        words = ["devices", "replay", str(city_folder), str(path), "--mqtt", f"127.0.0.1:{twin.mqtt_port}"]
        assert await asyncio.to_thread(main, words) == 0
        n = len(recording.dropna())
        assert capsys.readouterr().out == f"{2 * n} readings sent, {2 * n} acknowledged\n"
        await until(lambda: counted(twin) == 2 * n)
        assert {k: v for k, v in twin.quality()["counts"].items() if v} == {"good": n, "unknown_device": n}

    asyncio.run(living(city_folder, story))


def test_a_speed_is_kept(tmp_path, recording):
    path = tmp_path / "r.csv"
    recording[["time", "device-2"]].to_csv(path, index=False)  # 299 steps of 300 s
    taken = []

    async def accept(lines):
        taken.append(lines.count(b"\n"))

    begin = time.monotonic()
    assert asyncio.run(replay(read_recording(path), accept, speed=299 * 300 / 0.3)) == sum(taken) == 300
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize(
    ("text", "words"), [("", "cannot be read"), ("time\n1\n", "no readings"), ("time,a\nnever,1\n", "times cannot")]
)
def test_a_file_that_is_no_recording_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_recording(path)
