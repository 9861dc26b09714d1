"""Public transport from a GTFS feed (zip or folder): stops, and departures on the working day with the most trips."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from citytwin.errors import InputError, MissingError

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday")
HORIZON = 400  # days looked at


def read_gtfs(path: Path) -> tuple[gpd.GeoDataFrame, str]:
    """Table `stop` in longitude, latitude, and the day counted. Raises MissingError, InputError."""
    feed = _Feed(Path(path))
    stops = feed.table("stops.txt", ["stop_id", "stop_name", "stop_lat", "stop_lon", "location_type"])
    lon, lat = (pd.to_numeric(stops[c], errors="coerce") for c in ("stop_lon", "stop_lat"))
    kept = stops["location_type"].fillna("").isin(["", "0"]) & lon.notna() & lat.notna()
    stops, lon, lat = stops[kept], lon[kept], lat[kept]
    if not len(stops):
        raise InputError("has no stops with a place", str(path))
    day, runs = _runs(feed)
    times = feed.table("stop_times.txt", ["trip_id", "stop_id"])
    count = times["trip_id"].map(runs).fillna(0.0).groupby(times["stop_id"]).sum()
    key = stops["stop_id"].astype("str")
    columns = {"key": key, "name": stops["stop_name"].fillna(""), "departures": key.map(count).fillna(0.0)}
    table = gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat), crs=4326)
    return table.drop_duplicates("key", ignore_index=True), day


class _Feed:
    """The text files of a feed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, bytes] = {}
        if not path.exists():
            raise MissingError("no such file", str(path))
        if path.is_dir():
            self._texts = {p.name: p.read_bytes() for p in path.glob("*.txt")}
            return
        try:
            with zipfile.ZipFile(path) as archive:
                self._texts = {Path(m).name: archive.read(m) for m in archive.namelist() if m.endswith(".txt")}
        except zipfile.BadZipFile as error:
            raise InputError("is not a zip file", str(path), "a GTFS feed is a zip file or a folder with stops.txt") from error

    def table(self, name: str, columns: list[str], needed: bool = True) -> pd.DataFrame:
        """The wanted columns of one file; columns that it lacks are empty."""
        if name not in self._texts:
            if needed:
                raise InputError(f"has no {name}", str(self.path), "a GTFS feed is a zip file or a folder with stops.txt")
            return pd.DataFrame(columns=columns, dtype="str")
        try:
            text = io.BytesIO(self._texts[name])
            frame = pd.read_csv(text, dtype="str", encoding="utf-8-sig", usecols=lambda c: c.strip() in columns)
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", f"{self.path}/{name}") from error
        frame.columns = frame.columns.str.strip()
        return frame.reindex(columns=columns)


def _runs(feed: _Feed) -> tuple[str, pd.Series]:
    """The working day with the most trips, and how often each trip runs on it."""
    trips = feed.table("trips.txt", ["trip_id", "service_id"])
    per_service = trips["service_id"].value_counts()
    days = _service_days(feed)
    if days.empty:
        return "", pd.Series(1.0, index=trips["trip_id"])
    days = days.assign(trips=days["service_id"].map(per_service).fillna(0))
    best = days.groupby("date")["trips"].sum().idxmax()
    services = set(days.loc[days["date"] == best, "service_id"])
    times = pd.Series(1.0, index=trips["trip_id"][trips["service_id"].isin(services)])
    often = feed.table("frequencies.txt", ["trip_id", "start_time", "end_time", "headway_secs"], needed=False)
    if len(often):
        span: pd.Series[float] = _seconds(often["end_time"]) - _seconds(often["start_time"])
        often = often.assign(runs=np.ceil(span / _float(often["headway_secs"])))
        runs = often.groupby("trip_id")["runs"].sum()
        times.update(runs)
    return pd.Timestamp(str(best)).date().isoformat(), times[~times.index.duplicated()]


def _float(text: pd.Series) -> pd.Series:
    return pd.to_numeric(text, errors="coerce").clip(lower=1)


def _seconds(text: pd.Series) -> pd.Series:
    parts = text.str.strip().str.split(":", expand=True).astype(float)
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


def _service_days(feed: _Feed) -> pd.DataFrame:
    """Rows (date, service_id) on Mondays to Fridays."""
    calendar = feed.table("calendar.txt", ["service_id", *WEEK, "start_date", "end_date"], needed=False)
    dates = feed.table("calendar_dates.txt", ["service_id", "date", "exception_type"], needed=False)
    rows = []
    for _, line in calendar.iterrows():
        span = pd.date_range(line["start_date"], line["end_date"])[:HORIZON]
        runs = np.array([line[day] == "1" for day in WEEK] + [False, False])
        rows.append(pd.DataFrame({"date": span[runs[span.day_of_week]], "service_id": line["service_id"]}))
    dates = dates.assign(date=pd.to_datetime(dates["date"], format="%Y%m%d", errors="coerce")).dropna(subset=["date"])
    added = dates[(dates["exception_type"] == "1") & (dates["date"].dt.day_of_week < 5)] if len(dates) else dates
    whole: pd.DataFrame = pd.concat([*rows, added[["date", "service_id"]]], ignore_index=True).drop_duplicates()
    gone = dates[dates["exception_type"] == "2"][["date", "service_id"]]
    if len(gone) and len(whole):
        whole = whole.merge(gone, how="left", indicator=True).query("_merge == 'left_only'")[["date", "service_id"]]
    return whole
