"""Readings by zone and day for the city forecast: from a city's devices, or from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.errors import InputError, nearest
from citytwin.forecast.city import STREAMS, CityReadings
from citytwin.forecast.quantiles import Array
from citytwin.forecast.tables import table_of

KINDS = {"case_reports": "cases", "hospital_admissions": "admissions", "wastewater_virus": "wastewater"}
"""Kinds of device, and which stream each is of."""
MOST_DAYS = 150
DAY = np.timedelta64(1, "D")


def from_devices(city: City, daily: pd.DataFrame, until: np.datetime64 | None = None) -> CityReadings:
    """Readings of a city's devices (columns device, kind, day, total, mean), by the zone that each stands in.

    Counts of several devices in a zone are added, wastewater is averaged. Raises InputError where there are no such readings.
    """
    zones, people = _zones(city)
    where = dict(zip(city.table("device")["key"].astype(str), _standing_in(city), strict=True))
    place = daily["device"].map(where).fillna(-1).to_numpy(dtype=int)
    stream = daily["kind"].map(KINDS)
    value = np.where(stream == "wastewater", daily["mean"], daily["total"])
    frame = pd.DataFrame({"zone": place, "stream": stream, "value": value})
    frame["day"] = pd.to_datetime(daily["day"]).to_numpy(dtype="datetime64[D]")
    return _laid_out(zones, people, frame[place >= 0], until, city.name)


def from_table(city: City, path: Path, until: np.datetime64 | None = None) -> CityReadings:
    """Readings of a table with columns zone, date and any of cases, admissions, wastewater. Raises InputError."""
    zones, people = _zones(city)
    table = table_of(path)
    streams = [s for s in STREAMS if s in table.columns]
    if "zone" not in table.columns or "date" not in table.columns or not streams:
        raise InputError("needs columns zone, date and one of cases, admissions, wastewater", str(path))
    place = pd.Index(zones).get_indexer(pd.Index(table["zone"].astype(str)))
    if (place < 0).any():
        wrong = str(table["zone"][place < 0].iloc[0])
        raise InputError(f'no zone "{wrong}"', str(path), nearest(wrong, zones))
    days = pd.to_datetime(table["date"], errors="coerce")
    if days.isna().any():
        raise InputError(f'"{table["date"][days.isna()].iloc[0]}" is not a date', str(path), "as in 2026-01-31")
    parts = []
    for stream in streams:
        numbers = pd.to_numeric(table[stream], errors="coerce")
        if (numbers < 0).any() or (
            numbers.isna() & table[stream].notna() & (table[stream].astype(str).str.strip() != "")
        ).any():
            raise InputError(f"{stream} holds what is no number of zero or more", str(path))
        parts.append(pd.DataFrame({"zone": place, "stream": stream, "value": numbers, "day": days.to_numpy("datetime64[D]")}))
    return _laid_out(zones, people, pd.concat(parts).dropna(), until, str(path))


def _zones(city: City) -> tuple[list[str], Array]:
    if "zone" not in city:
        raise InputError("an epidemic forecast needs zones, which the city has not", city.name)
    table = city.table("zone")
    if "people" not in table.columns:
        raise InputError("the zones have no people", city.name, "give table zone a column people")
    return table["key"].astype(str).tolist(), np.maximum(table["people"].to_numpy(dtype=float), 1.0)


def _standing_in(city: City) -> npt.NDArray[np.intp]:
    """Row of the zone that each device stands in, or of the nearest one."""
    zones = shapely.STRtree(city.table("zone").geometry.to_numpy())
    return np.asarray(zones.nearest(city.table("device").geometry.to_numpy()))


def _laid_out(zones: list[str], people: Array, frame: pd.DataFrame, until: np.datetime64 | None, where: str) -> CityReadings:
    if until is not None:
        frame = frame[frame["day"] <= until]
    if frame.empty:
        kinds = ", ".join(KINDS)
        raise InputError("no case, admission or wastewater reading", where, f"devices of kinds {kinds}, or a table of them")
    days = frame["day"].to_numpy(dtype="datetime64[D]")
    last = days.max() if until is None else until
    first = max(days.min(), last - (MOST_DAYS - 1) * DAY)
    frame, days = frame[days >= first], days[days >= first]
    axis = np.arange(first, last + DAY, DAY)
    arrays = {}
    for stream in STREAMS:
        own = (frame["stream"] == stream).to_numpy()
        row, column = frame["zone"].to_numpy()[own], ((days[own] - first) / DAY).astype(int)
        total, number = np.zeros((len(zones), len(axis))), np.zeros((len(zones), len(axis)))
        np.add.at(total, (row, column), frame["value"].to_numpy(dtype=float)[own])
        np.add.at(number, (row, column), 1.0)
        value = total / np.maximum(number, 1.0) if stream == "wastewater" else total
        arrays[stream] = np.where(number > 0, value, np.nan)
    return CityReadings(zones, people, axis, **arrays)
