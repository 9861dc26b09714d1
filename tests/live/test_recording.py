"""Laws of reading other people's recordings: times, gaps, units and devices as the file means them, or one clear line."""

from __future__ import annotations

import gzip
import math

import pandas as pd
import pytest

from citytwin.errors import InputError
from citytwin.io.feeds.recording import Layout, layout_of, read_layout, read_recording

MIDNIGHT = 1_330_560_000.0  # 2012-03-01T00:00:00Z


def written(tmp_path, text, name="r.csv", encoding="utf-8"):
    path = tmp_path / name
    (gzip.open if name.endswith(".gz") else open)(path, "wt", encoding=encoding).write(text)
    return path


def rows(table):
    return list(zip(table["device"], table["time"], table["value"], strict=True))


def test_semicolons_decimal_commas_and_gzip_are_found_by_themselves(tmp_path):
    path = written(tmp_path, "Timestamp;p1;p2\n2012-03-01 00:00:00;88,14;\n2012-03-01 00:05:00;82,9;90,8\n", "r.csv.gz")
    assert rows(read_recording(path)) == [("p1", MIDNIGHT, 88.14), ("p1", MIDNIGHT + 300, 82.9), ("p2", MIDNIGHT + 300, 90.8)]


def test_a_time_in_parts_local_time_and_a_device_made_of_columns(tmp_path):
    text = (
        '"No","year","month","day","hour","PM2.5","wd","station"\n1,2012,3,1,8,9,"NW","Dongsi"\n2,2012,3,1,9,NA,"N","Dongsi"\n'
    )
    layout = Layout(zone="Asia/Shanghai", device="{station}-{column}", columns="PM2.5")
    assert rows(read_recording(written(tmp_path, text), layout)) == [("Dongsi-PM2.5", MIDNIGHT, 9.0)]


def test_a_file_without_times_is_placed_by_its_first_moment_and_its_step(tmp_path):
    path = written(tmp_path, "773869,767541\n64.375,67.625\n62.5,68.25\n")
    found = read_recording(path, Layout(begin="2012-03-01", every=300, unit="mi/h"))
    assert found["time"].tolist() == [MIDNIGHT, MIDNIGHT, MIDNIGHT + 300, MIDNIGHT + 300]
    assert set(found["unit"]) == {"mi/h"}
    with pytest.raises(InputError, match=r'column "773869" is no time .*begin and every'):
        read_recording(path)


@pytest.mark.parametrize(
    ("said", "layout"),
    [
        ("2012-03-01T01:00:00+01:00", {}), ("2012-03-01T00:00:00Z", {}), ("1330560000", {}), ("1330560000000", {}),
        ("01.03.2012 00:00", {"time_format": "%d.%m.%Y %H:%M"}), ("2012-02-29 19:00", {"zone": "America/New_York"}),
        ("1330560000000000", {"time_format": "microseconds"}),
    ],
)  # fmt: skip
def test_times_are_read_however_they_are_written(tmp_path, said, layout):
    path = written(tmp_path, f"time,g\n{said},1.5\n")
    assert rows(read_recording(path, layout_of(layout))) == [("g", MIDNIGHT, 1.5)]


def test_a_time_in_two_columns_and_numbers_that_mean_a_gap(tmp_path):
    path = written(tmp_path, "date\thour\tg\n2012-03-01\t00:00\t-999\n2012-03-01\t00:10\t2\n")
    assert rows(read_recording(path, Layout(time="date+hour", missing="-999"))) == [("g", MIDNIGHT + 600, 2.0)]


def test_headings_are_mapped_to_devices_and_units_by_a_file(tmp_path):
    written(tmp_path, "column,device,unit\nT1,tank-1,m\nT2,tank-2,cm\n", "devices.csv")
    written(tmp_path, 'devices = "devices.csv"\n', "layout.toml")
    path = written(tmp_path, "time,T1,T2,T3\n2012-03-01,3.4,120,1\n")
    found = read_recording(path, read_layout(tmp_path / "layout.toml"))
    assert rows(found) == [("tank-1", MIDNIGHT, 3.4), ("tank-2", MIDNIGHT, 120.0)]
    assert found["unit"].tolist() == ["m", "cm"]


def test_a_parquet_file_with_its_times_in_the_index_is_read(tmp_path):
    moments = pd.date_range("2012-03-01", periods=2, freq="5min", name="when")
    pd.DataFrame({"g": [1.0, math.nan]}, index=moments).to_parquet(tmp_path / "r.parquet")
    assert rows(read_recording(tmp_path / "r.parquet")) == [("g", MIDNIGHT, 1.0)]


@pytest.mark.parametrize(
    ("text", "layout", "words"),
    [
        ("time,g\n2012-03-01,warm\n", {"columns": "g"}, '"warm" is no number.*missing'),
        ("time,g\nyesterday,1\n", {}, "times cannot be read"),
        ("time,g\n2012-03-01,1\n", {"time": "tim"}, 'did you mean "time"'),
        ("time,g\n2012-03-01,1\n", {"zone": "Mars/North"}, 'no time zone "Mars/North"'), ("time,g\n", {}, "holds no readings"),
        ("time,g\n2012-03-01,1\n", {"device": "{station}"}, 'no column "station"'),
        ("time,g\n2012-03-01,a\n", {}, "holds numbers"),
        ("time,g\n2012-03-01,1\n", {"begin": "2012-03-01"}, "belong together"),
        ("time,g\n2012-10-28 02:30,1\n", {"zone": "Europe/Madrid"}, "change of clocks"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, text, layout, words):
    with pytest.raises(InputError, match=words) as raised:
        read_recording(written(tmp_path, text), layout_of(layout))
    assert "\n" not in str(raised.value)


def test_a_wrong_setting_is_named_with_the_nearest_right_one():
    with pytest.raises(InputError, match='no setting "timezone"'):
        layout_of({"timezone": "UTC"})
    with pytest.raises(InputError, match="is not name=value"):
        read_layout(None, ["zone"])
    with pytest.raises(InputError, match="no setting"):
        read_layout(None, ["ever=300"])
