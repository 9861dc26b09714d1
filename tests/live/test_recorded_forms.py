"""Recordings as the world writes them: each form read as it is meant, and what can be read in two ways refused."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pandas as pd
import pytest

from citytwin.errors import InputError
from citytwin.io.feeds.recording import layout_of, read_recording

DAY = 86_400.0
FEBRUARY = 1_706_745_600.0  # 2024-02-01T00:00:00Z


def read(tmp_path, text, encoding="utf-8", **layout):
    path = tmp_path / "r.csv"
    path.write_bytes(text.encode(encoding))
    found = read_recording(path, layout_of(layout))
    return list(zip(found["device"], found["time"] - FEBRUARY, found["value"], strict=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("01.02.2024 00:00", "02.02.2024 00:00"), ("01.02.24 00:00", "02.02.24 00:00"), ("20240201", "20240202"),
        ("202402010000", "202402020000"), ("20240201000000", "20240202000000"), ("2024/02/01", "2024/02/02"),
        ("01-Feb-2024 00:00", "02-Feb-2024"), ("2024-02-01 00:00 UTC", "2024-02-02 00:00 UTC"),
        ("2024-02-01 01:00 CET", "2024-02-02 01:00 CET"), ("2024-01-31 24:00", "2024-02-01 24:00"),
        ("2024-02-01T01:00:00+0100", "2024-02-02T01:00:00+0100"), ("2024-02-01 12:00 AM", "2024-02-02 12:00 AM"),
        ("1706745600000", "1706832000000"), ("1706745600.0", "1706832000.0"),
    ],
)  # fmt: skip
def test_two_days_are_two_days_however_they_are_written(tmp_path, first, second):
    assert read(tmp_path, f"time;a\n{first};1\n{second};2\n") == [("a", 0, 1), ("a", DAY, 2)]


def test_days_before_months_are_told_by_the_whole_column(tmp_path):
    text = "time,a\n{0}/02/2024 00:00,1\n{1}/02/2024 00:00,2\n"
    assert read(tmp_path, text.format("01", "13"))[1][1] == 12 * DAY
    assert read(tmp_path, "time,a\n02/01/2024,1\n02/13/2024,2\n")[1][1] == 12 * DAY
    with pytest.raises(InputError, match=r"%d/%m/%Y %H:%M and as %m/%d/%Y %H:%M \(say time_format"):
        read(tmp_path, text.format("01", "02"))


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("date,hour", "2024-02-01,6"), ("Date,Hour", "2024-02-01,06:00"), ("date,time", "01.02.2024,06.00.00"),
        ("Date,Time", "2024-02-01,06:00:00"), ("year,month,day,hour", "2024,2,1,6"), ("No,DATA_AS_OF", "7,2024-02-01T06:00:00"),
        ("sensor_id,when it was", "7,2024-02-01 06:00"),
    ],
)  # fmt: skip
def test_the_columns_of_the_time_are_found(tmp_path, heading, row):
    assert read(tmp_path, f"{heading},a\n{row},5\n") == [("a", DAY / 4, 5)]


def test_hours_of_a_day_may_end_with_the_24th(tmp_path):
    assert [t for _, t, _ in read(tmp_path, "date,hour,a\n2024-02-01,1,5\n2024-02-01,24,6\n")] == [3600, DAY]


def test_numbers_too_small_for_a_time_are_no_time(tmp_path):
    with pytest.raises(InputError, match="no time since 1970"):
        read(tmp_path, "time,a\n45292.5,1\n")


def test_the_hour_that_comes_twice_is_told_by_each_device(tmp_path):
    hours = ("2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00")
    text = "device,time,value\n" + "".join(f"{d},{h},1\n" for h in hours for d in "ab")
    found = read(tmp_path, text, zone="Europe/Madrid")
    times = [t for d, t, _ in found if d == "a"]
    assert [b - a for a, b in itertools.pairwise(times)] == [3600, 3600, 3600]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("1,5", "2,25"), (1.5, 2.25)), (("1.234,5", "2.000,0"), (1234.5, 2000)), (("1 234,5", "7"), (1234.5, 7)),
        (("1.5", "-2e3"), (1.5, -2000)), (("?", "2"), (None, 2)), (("---", "2"), (None, 2)), (("#N/A", "2"), (None, 2)),
    ],
)  # fmt: skip
def test_numbers_are_read_however_they_are_written(tmp_path, words, numbers):
    said = [n for n in numbers if n is not None]
    assert [v for _, _, v in read(tmp_path, f"time;a\n2024-02-01;{words[0]}\n2024-02-02;{words[1]}\n")] == said


def test_thousands_in_quotes_are_read_and_doubtful_ones_refused(tmp_path):
    text = 'time,a\n2024-02-01,"1,234.5"\n2024-02-02,"2,000"\n'
    assert [v for _, _, v in read(tmp_path, text)] == [1234.5, 2000]
    with pytest.raises(InputError, match=r'"4\.216" is no number'):
        read(tmp_path, "time;a;b;c\n2024-02-01;1,5;4.216;7,5\n2024-02-02;2,5;3.111;7,5\n")


def test_a_word_among_numbers_is_refused_and_not_a_reason_to_drop_the_column(tmp_path):
    rows = "".join(f"2024-02-{day:02},{day},{'offline' if day == 5 else day}\n" for day in range(1, 10))
    with pytest.raises(InputError, match=r'"offline" is no number \(row 5\)'):
        read(tmp_path, f"time,a,b\n{rows}")
    assert len(read(tmp_path, f"time,a,b\n{rows}", missing="offline")) == 17


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_other_encodings_are_found(tmp_path, encoding):
    assert read(tmp_path, "time;Höhe\n2024-02-01;1,5\n", encoding) == [("Höhe", 0, 1.5)]


def test_remarks_before_and_units_below_the_heading_are_passed_over(tmp_path):
    text = "# station 7\n# source\ntime,a,b\n,m,m3/s\n2024-02-01,1,2\n2024-02-02,3,4\n"
    assert read(tmp_path, text) == [("a", 0, 1), ("b", 0, 2), ("a", DAY, 3), ("b", DAY, 4)]


def test_columns_apart_by_blanks_are_read(tmp_path):
    assert read(tmp_path, "date time a\n2024-02-01 00:00 1\n2024-02-01 00:05 2\n") == [("a", 0, 1), ("a", 300, 2)]


def test_a_long_table_is_known_by_other_names_and_numbers_that_measure_nothing_are_left_out(tmp_path):
    text = "sensors_id,lat,lon,datetime,parameter,units,value\n11,40,3,2024-02-01T00:00:00Z,pm25,ug/m3,5\n"
    assert read(tmp_path, text) == [("11", 0, 5)]
    assert read(tmp_path, "sensor_id,lat,lon,timestamp,P1\n141,48.7,9.1,2024-02-01,9.5\n") == [("P1", 0, 9.5)]


def test_parquet_files_have_gaps_and_words_for_numbers_too(tmp_path):
    table = pd.DataFrame(
        {"time": ["2024-02-01", "2024-02-02"], "a": [-999.0, 2.0], "b": ["1.5", "?"], "c": [Decimal("7.5"), None]}
    )
    table.to_parquet(tmp_path / "r.parquet")
    found = read_recording(tmp_path / "r.parquet", layout_of({"missing": "-999"}))
    assert dict(zip(found["device"], found["value"], strict=True)) == {"a": 2, "b": 1.5, "c": 7.5}


@pytest.mark.parametrize(("data", "words"), [(b"\0\1\2\3", "is no text"), (b"Site X\ntime,a\n2024-02-01,1\n", "say skip")])
def test_what_is_no_table_is_refused_in_one_line(tmp_path, data, words):
    (tmp_path / "r.csv").write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_recording(tmp_path / "r.csv")
