"""Forecasts of weekly series: what comes in, what comes out."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from citytwin.cli import root
from citytwin.errors import InputError
from citytwin.forecast import LEVELS, Forecaster, read_vintages, weighted_interval_score
from citytwin.forecast.hub import COLUMNS
from citytwin.forecast.renewal import Renewal

FEW = Renewal(change=0.25, damping=0.6, dispersion=0.12, particles=100)


def waves(weeks=60, places=4, seed=3, peak=30, scale=400.0):
    """Counts (places, weeks) of one wave with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(weeks)
    size = scale * 3.0 ** -np.arange(places)[:, None]
    return rng.poisson(size * np.exp(-(((t - peak) / 7.0) ** 2)) + 1).astype(float)


def long_table(values, start="2023-10-07", **columns):
    places, weeks = values.shape
    dates = pd.date_range(start, periods=weeks, freq="7D").strftime("%Y-%m-%d")
    table = pd.DataFrame({"date": np.tile(dates, places), "location": np.repeat([f"{p:02d}" for p in range(places)], weeks)})
    return table.assign(value=values.reshape(-1), **columns)


def written(tmp_path, table, name="in.csv"):
    path = tmp_path / name
    table.to_csv(path, index=False)
    return path


def forecast(path, reference=None, **keep):
    forecaster = Forecaster(read_vintages(path, **keep), renewal=FEW)
    return forecaster.forecast(reference or forecaster.references()[-1])


def test_a_forecast_has_all_quantiles_in_order_and_none_below_zero(tmp_path):
    values = forecast(written(tmp_path, long_table(waves(28))))
    assert values.shape == (4, 4, len(LEVELS))
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (np.diff(values, axis=-1) >= 0).all()


def test_what_is_known_later_changes_no_earlier_forecast(tmp_path):
    whole = waves(40)
    early, late = written(tmp_path, long_table(whole[:, :25]), "a.csv"), written(tmp_path, long_table(whole), "b.csv")
    reference = np.datetime64("2023-10-07") + 25 * np.timedelta64(7, "D")
    np.testing.assert_allclose(forecast(early, reference), forecast(late, reference), rtol=1e-9)


def test_a_growing_wave_is_forecast_to_grow_and_a_falling_one_to_fall(tmp_path):
    path = written(tmp_path, long_table(waves(60)))
    forecaster, start = Forecaster(read_vintages(path), renewal=FEW), np.datetime64("2023-10-07")
    truth = forecaster.vintages.truth()
    for weeks, sign in ((24, 1), (37, -1)):
        ahead = forecaster.forecast(start + weeks * np.timedelta64(7, "D"))
        assert sign * (ahead[1, 0, 11] - truth[0, weeks - 1]) > 0


def test_the_newest_release_before_the_date_counts_and_no_later_one(tmp_path):
    base = waves(20)
    first = long_table(base[:, :18] * 0 + 50, as_of="2024-02-03")
    later = long_table(base * 0 + 500, as_of="2024-02-17")
    vintages = read_vintages(written(tmp_path, pd.concat([first, later])))
    assert vintages.by_data
    known, chosen = vintages.known(np.datetime64("2024-02-10"))
    assert chosen.tolist() == [0]
    assert np.nanmax(known) == 50
    assert np.nanmax(vintages.known(np.datetime64("2024-02-24"))[0]) == 500


def test_a_release_named_by_its_day_is_used_three_days_later(tmp_path):
    base = waves(20)
    days = pd.date_range("2024-01-17", periods=4, freq="7D").strftime("%Y-%m-%d")
    table = pd.concat([long_table(base[:, : 15 + k], as_of=day) for k, day in enumerate(days)])
    vintages = read_vintages(written(tmp_path, table))
    assert not vintages.by_data
    assert vintages.usable(np.datetime64("2024-01-20")).tolist() == [0]
    assert vintages.usable(np.datetime64("2024-01-20"), lag=4).tolist() == []


def test_numbers_that_always_rise_by_a_fifth_are_raised_by_a_fifth(tmp_path):
    from citytwin.forecast.backfill import completed

    truth = np.full((3, 30), 300.0)
    tables = []
    for last in range(12, 30):
        seen = truth[:, : last + 1].copy()
        seen[:, -1] /= 1.2
        tables.append(long_table(seen, as_of=str(np.datetime64("2023-10-07") + last * np.timedelta64(7, "D"))))
    vintages = read_vintages(written(tmp_path, pd.concat(tables)))
    values, doubt = completed(vintages, vintages.dates[-1] + np.timedelta64(7, "D"))
    assert values[:, -1] == pytest.approx(300, rel=0.03)
    assert values[:, -2] == pytest.approx(300, rel=0.01)
    assert (doubt[:, -1] > 0).all()


def daily(values):
    days = pd.date_range("2023-10-01", periods=values.shape[1] * 7).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": days, "cases": np.repeat(values[0] / 7, 7).round()})


def with_gaps(values):
    table = long_table(values)
    table.loc[table.index % 5 == 0, "value"] = np.nan
    return table.assign(value=table["value"].where(table["location"] != "03"))


NAMED = {"date": "Week Ending Date", "location": "Jurisdiction", "value": "Observation"}
FORMS = {
    "wide": lambda v: long_table(v).pivot(index="date", columns="location", values="value").reset_index(),
    "daily": daily,
    "gaps": with_gaps,
    "zeros": lambda v: long_table(v * 0),
    "one place": lambda v: long_table(v[:1]).drop(columns="location"),
    "short": lambda v: long_table(v[:, 20:27]),
    "share": lambda v: long_table(v / 1e4),
    "southern": lambda v: long_table(v, start="2024-03-02"),
    "names": lambda v: long_table(v).rename(columns=NAMED),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_is_forecast(tmp_path, form):
    found = forecast(written(tmp_path, FORMS[form](waves(28))))
    assert np.isfinite(found).all()
    median = found[0, 0, 11]
    assert {"share": 0 < median < 1, "zeros": median < 1}.get(form, median > 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": "many"}, "not a number"),
        ({"value": -3}, "below zero"),
        ({"date": "yesterday"}, "not a date"),
        ({"group": ["a", "b"] * 56}, "--where group="),
    ],
)
def test_wrong_tables_are_refused_in_one_line(tmp_path, change, words):
    table = long_table(waves(28)).astype(object)
    if "group" in change:
        table = pd.concat([table.assign(group="a"), table.assign(group="b", value=1)])
    else:
        for name, value in change.items():
            table.loc[3, name] = value
    with pytest.raises(InputError) as caught:
        read_vintages(written(tmp_path, table))
    assert words in str(caught.value)


def test_forecasts_of_a_noisy_wave_beat_a_flat_one(tmp_path):
    path = written(tmp_path, long_table(waves(60, places=6, scale=900)))
    forecaster = Forecaster(read_vintages(path), renewal=FEW)
    truth, ours, flat = forecaster.vintages.truth(), [], []
    for weeks in range(20, 50, 3):
        found = forecaster.forecast(np.datetime64("2023-10-07") + weeks * np.timedelta64(7, "D"))
        for horizon in range(4):
            y, now = truth[:, weeks + horizon], truth[:, weeks - 1]
            ours.append(weighted_interval_score(found[horizon], y))
            flat.append(np.abs(y - now))
    assert np.mean(ours) < 0.6 * np.mean(flat)


def test_the_command_writes_what_hubs_read_and_scores_it(tmp_path):
    path = written(tmp_path, long_table(waves(30)))
    names = written(tmp_path, pd.DataFrame({"abbreviation": ["00", "01"], "location": ["AA", "BB"]}), "places.csv")
    out = tmp_path / "out.csv"
    command = ["forecast", "series", str(path), "--out", str(out), "--locations", str(names), "--reference-date", "2024-03-16"]
    done = CliRunner().invoke(root, command)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out, dtype={"location": str})
    assert list(table.columns) == COLUMNS
    assert len(table) == 4 * 2 * 23
    assert set(table["location"]) == {"AA", "BB"}
    assert table.loc[table["horizon"] == 3, "target_end_date"].unique().tolist() == ["2024-04-06"]
    truth = written(tmp_path, long_table(waves(40)).replace({"location": {"00": "AA", "01": "BB"}}), "truth.csv")
    done = CliRunner().invoke(root, ["forecast", "score", str(out), "--truth", str(truth), "--baseline", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].split()[:2] == ["all", "8"]
    assert done.output.splitlines()[1].split()[4] == "1"


def test_the_same_seed_gives_the_same_forecast(tmp_path):
    path = written(tmp_path, long_table(waves(28)))
    np.testing.assert_array_equal(forecast(path), forecast(path))
