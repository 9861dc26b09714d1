"""Series and forecasts in the forms that other hubs publish: archives of releases, ISO weeks, rates, older target names."""

import numpy as np
import pandas as pd
import pytest

from citytwin.cli import main
from citytwin.errors import InputError
from citytwin.forecast import read_vintages
from citytwin.forecast.hub import on_common_levels, read_forecasts, scored, summary
from citytwin.forecast.places import target_of

WEEKS = pd.date_range("2024-10-05", periods=10, freq="7D")


def series(last=10, **more):
    """Ten weeks of two places, as they were known after `last` of them."""
    rows = [(day, place, 10.0 * n + k) for k, place in enumerate(("01", "02"), 1) for n, day in enumerate(WEEKS[:last], 1)]
    return pd.DataFrame(rows, columns=["date", "location", "value"]).assign(**more)


def put(path, table, **how):
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=False, **how)
    return path


def test_a_folder_of_releases_named_by_their_day_is_what_one_table_with_releases_is(tmp_path):
    days = [(WEEKS[last - 1] + pd.Timedelta(days=4)).date() for last in (8, 9, 10)]
    for last, day in zip((8, 9, 10), days, strict=True):
        put(tmp_path / "archive" / f"target-hospital-admissions_{day}.csv", series(last))
    together = pd.concat([series(last, as_of=str(day)) for last, day in zip((8, 9, 10), days, strict=True)])
    one = read_vintages(put(tmp_path / "one.csv", together))
    for given in (tmp_path / "archive", sorted((tmp_path / "archive").iterdir())):
        found = read_vintages(given)
        assert found.releases.tolist() == one.releases.tolist()
        assert np.array_equal(found.values, one.values, equal_nan=True)
        assert not found.by_data
    assert target_of([tmp_path / "archive"], None) == "wk inc flu hosp"


def test_one_file_with_a_day_in_its_name_is_no_release(tmp_path):
    assert len(read_vintages(put(tmp_path / "truth_2025-01-01.csv", series())).releases) == 1


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no table"):
        read_vintages(tmp_path)


def test_iso_weeks_are_their_sundays(tmp_path):
    sundays = WEEKS + pd.Timedelta(days=1)
    iso = {day: f"{day.isocalendar().year}-W{day.isocalendar().week:02}" for day in sundays}
    table = series().assign(year_week=lambda t: (t["date"] + pd.Timedelta(days=1)).map(iso)).drop(columns="date")
    assert read_vintages(put(tmp_path / "s.csv", table)).dates.tolist() == sundays.date.tolist()


def test_semicolons_with_decimal_commas_are_read(tmp_path):
    table = series().rename(columns={"date": "truth_date", "value": "incidence"}).assign(incidence=lambda t: t["incidence"] / 8)
    found = read_vintages(put(tmp_path / "s.csv", table, sep=";", decimal=","))
    assert found.truth()[0, 0] / found.scale == 11 / 8


def test_a_rare_number_below_zero_is_unknown(tmp_path):
    table = pd.concat([series(as_of=f"2025-01-{day:02}") for day in range(1, 11)], ignore_index=True)
    table.loc[0, "value"] = -4
    found = read_vintages(put(tmp_path / "s.csv", table))
    assert np.isnan(found.values).sum() == 1


def forecasts(**more):
    """Ten quantile forecasts of one place; the horizons end on the weeks of `WEEKS`."""
    rows = [("2024-11-09", h, WEEKS[5 + h], "01", level, 60.0 + 10 * h + 20 * (level - 0.5))
            for h in range(4) for level in (0.25, 0.5, 0.75)]  # fmt: skip
    names = ["reference_date", "horizon", "target_end_date", "location", "output_type_id", "value"]
    return pd.DataFrame(rows, columns=names).assign(output_type="quantile", **more)


def older():
    """The same as the first hubs wrote it: from a Monday, with the horizon in the target, and a row without level."""
    table = forecasts(forecast_date="2024-11-04", type="quantile")
    table["target"] = (table["horizon"] + 1).astype(str) + " wk ahead inc hosp"
    table = table.rename(columns={"output_type_id": "quantile"}).drop(columns=["reference_date", "horizon", "output_type"])
    point = table[table["quantile"] == 0.5].assign(type="point", quantile=np.nan)
    day = table.iloc[:1].assign(target="3 day ahead inc hosp")
    return pd.concat([table, point, day])


def by_origin():
    """The same from the Wednesday of the week, with horizons from 1."""
    table = forecasts(origin_date="2024-11-06", target="ILI incidence")
    return table.assign(horizon=table["horizon"] + 1).drop(columns="reference_date")


@pytest.mark.parametrize("form", [older, by_origin])
def test_forecasts_in_the_forms_of_other_hubs_score_alike(tmp_path, form):
    truth = read_vintages(put(tmp_path / "truth.csv", series()))
    ours = scored(read_forecasts(put(tmp_path / "ours.csv", forecasts())), truth)
    theirs = scored(read_forecasts(put(tmp_path / "theirs.csv", form())), truth)
    whole = summary(ours, theirs)[0]
    assert (whole.forecasts, whole.relative) == (4, pytest.approx(1.0))


def test_a_baseline_of_fewer_levels_is_held_against_the_same_levels_of_ours(tmp_path, capsys):
    truth = put(tmp_path / "truth.csv", series())
    ours = forecasts()
    more = pd.concat([ours, ours[ours["output_type_id"] == 0.5].assign(output_type_id=0.9, value=200.0)])
    names = [str(put(tmp_path / name, table)) for name, table in (("more.csv", more), ("base.csv", ours))]
    assert main(["forecast", "score", names[0], "--truth", str(truth), "--baseline", names[1]]) == 0
    line = next(words for words in capsys.readouterr().out.splitlines() if words.startswith("all"))
    assert line.split()[2:5] == [line.split()[2], line.split()[2], "1"]
    with pytest.raises(InputError, match="share no median"):
        on_common_levels(ours, ours[ours["output_type_id"] != 0.5])
