"""The table in a recording's file: separator, decimal comma, encoding, lines before the heading, gaps and numbers as words."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from pathlib import Path
from typing import Any

import pandas as pd

from citytwin.errors import InputError

GAPS = ("", "NA", "N/A", "N.A.", "n/a", "n.a.", "n.d.", "NaN", "nan", "null", "NULL", "None", "none", "-", "--", "---", "----",
        "?", "*", "***", "#N/A", "#VALUE!", "#DIV/0!", "missing", "No data", "no data", "NoData", "NODATA")  # fmt: skip
TABLES = (".parquet", ".pq", ".feather", ".arrow")
OTHERS = (".h5", ".hdf", ".hdf5", ".xls", ".xlsx", ".mat", ".nc", ".json", ".xml", ".npz", ".npy")
MOSTLY = 0.5
"""Share of words that are numbers from which a column holds numbers."""


def table_in(path: Path, separator: str = "", decimal: str = "", encoding: str = "utf-8-sig", skip: int = 0,
             missing: str = "") -> pd.DataFrame:  # fmt: skip
    """The table of a file, columns of numbers as numbers. What is not said is found out. Raises InputError."""
    kind = path.suffix.lower()
    if kind in OTHERS:
        raise InputError(
            f'a file of kind "{path.suffix}" is not read here', str(path), "write it as Parquet or CSV first, with pandas, say"
        )
    try:
        gaps = [w.strip() for w in missing.split(";") if w.strip()]
        if kind in TABLES:
            return numbered(_without_gaps(_columnar(path), gaps), decimal or ".")
        return _text(path, separator, decimal, _encoding(path, encoding), skip, gaps)
    except InputError:
        raise
    except Exception as error:  # pandas and pyarrow raise many kinds
        hint = "say skip (lines before the heading) or separator" if isinstance(error, pd.errors.ParserError) else ""
        raise InputError(f"cannot be read: {str(error).strip().splitlines()[0]}", str(path), hint) from error


def _columnar(path: Path) -> pd.DataFrame:
    """A Parquet or Feather file; an index that says something becomes a column."""
    table: pd.DataFrame = pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pd.read_feather(path)
    return table.reset_index() if isinstance(table.index, pd.DatetimeIndex) or bool(table.index.name) else table


def _without_gaps(table: pd.DataFrame, missing: list[str]) -> pd.DataFrame:
    """The table with nothing where a word or a number means a gap."""
    numbers = [float(found) for found in pd.to_numeric(pd.Series(missing, dtype=str), errors="coerce").dropna()]
    out = table.copy()
    for name in table.columns:
        if is_text(table[name]):
            out[name] = table[name].mask(table[name].astype("string").str.strip().isin([*GAPS, *missing]))
        elif numbers and holds_numbers(table[name]):
            out[name] = table[name].mask(table[name].isin(numbers))
    return out


def _encoding(path: Path, said: str) -> str:
    """The encoding said; where none is, that of the mark at the beginning, else UTF-8 if it is that, else Windows-1252."""
    if said != "utf-8-sig" or path.suffix.lower() in (".zip", ".bz2", ".xz", ".zst"):
        return said
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as file:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
        if b"\0" in start:
            raise InputError("is no text", str(path), "CSV, Parquet or Feather")
        file.seek(0)
        try:
            for line in file:
                line.decode("utf-8")
        except UnicodeDecodeError:
            return "cp1252"
    return said


def _text(path: Path, separator: str, decimal: str, encoding: str, skip: int, missing: list[str]) -> pd.DataFrame:
    if not skip:
        skip = len(list(itertools.takewhile(lambda line: line.startswith("#"), _lines(path, encoding, 0, 1000))))
    head = _lines(path, encoding, skip, 20)
    separator = _named(separator) or _separator(head)
    decimal = decimal or ("," if separator != "," and _decimal_comma(head, separator) else ".")
    table = pd.read_csv(
        path, sep=separator, decimal=decimal, na_values=[*GAPS, *missing], keep_default_na=True, encoding=encoding,
        skiprows=skip, low_memory=False, skipinitialspace=True,
    )  # fmt: skip
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError("its rows have more fields than its heading", str(path), "say skip (lines before the heading)")
    table = table.rename(columns=lambda name: str(name).strip()).dropna(how="all").reset_index(drop=True)
    table = table.loc[:, [not (name.startswith("Unnamed:") and table[name].isna().all()) for name in table.columns]]
    return numbered(_without_units(table, decimal), decimal)


def _named(separator: str) -> str:
    return {"tab": "\t", "comma": ",", "semicolon": ";", "space": r"\s+"}.get(separator, separator)


def _lines(path: Path, encoding: str, skip: int, most: int) -> list[str]:
    """The first lines after `skip`, at most `most`."""
    if path.suffix.lower() in (".zip", ".bz2", ".xz", ".zst"):
        found = pd.read_csv(path, sep="\0", header=None, nrows=20, skiprows=skip, engine="python", quoting=csv.QUOTE_NONE)
        return [str(line) + "\n" for line in found[0]]
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding=encoding, errors="replace") as file:
        return list(itertools.islice(file, skip, skip + most))


def _separator(head: list[str]) -> str:
    """The separator that cuts all first lines into the same number of fields."""
    best, most = ",", 1
    for candidate in (",", ";", "\t", "|"):
        widths = {len(row) for row in csv.reader(io.StringIO("".join(head)), delimiter=candidate) if row}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = candidate, width
    if most == 1 and len(head) > 1 and len(head[0].split()) > 1 and len({len(line.split()) for line in head}) == 1:
        return r"\s+"
    return best


def _decimal_comma(head: list[str], separator: str) -> bool:
    if separator == r"\s+":
        fields = [field for line in head[1:] for field in line.split()]
    else:
        rows = csv.reader(io.StringIO("".join(head[1:])), delimiter=separator)
        fields = [field.strip() for row in rows for field in row]
    commas = sum(1 for f in fields if re.fullmatch(r"[+-]?(\d+|\d{1,3}([. ]\d{3})+),\d+", f))
    points = sum(1 for f in fields if f.count(".") == 1 and f.replace(".", "").lstrip("+-").isdigit())
    return commas > points


def _without_units(table: pd.DataFrame, decimal: str) -> pd.DataFrame:
    """The table without a first row that holds no number although the rows after it do: units, or kinds of columns."""
    if len(table) < 2:
        return table
    first, rest = table.iloc[[0]], table.iloc[1:50]
    if first.iloc[0].astype("string").str.contains(r"\d{2}[-/.: ]?\d{2}").any():  # a time
        return table
    words = [name for name in table.columns if is_text(table[name])]
    if len(words) < len(table.columns) and not first[[c for c in table.columns if c not in words]].isna().all(axis=None):
        return table
    said = [name for name in words if as_numbers(first[name], decimal).isna().all() and first[name].notna().all()]
    numbers = [name for name in said if as_numbers(rest[name], decimal).notna().mean() > MOSTLY]
    return table.iloc[1:].reset_index(drop=True) if numbers and len(said) == int(first.notna().sum(axis=1).iloc[0]) else table


def is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds words."""
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def as_numbers(column: pd.Series[Any], decimal: str = ".") -> pd.Series[Any]:
    """Words as numbers, NaN for what is none; thousands may be apart by blanks, or by the other of comma and point.

    That other mark counts as one of thousands only where a word of the column has both or several of it; in a file with decimal
    commas a point is a decimal one where something else than three digits follows it. What stays in doubt is NaN.
    """
    words = column.astype("string").str.strip().str.replace(r"(?<=\d)[\s\u00a0\u202f'](?=\d{3})", "", regex=True)
    other, mark = (r"\.", ",") if decimal == "," else (",", r"\.")
    parted = words.str.fullmatch(rf"[+-]?[1-9]\d{{0,2}}({other}\d{{3}})+({mark}\d*)?").fillna(False).astype(bool)
    sure = words.str.contains(rf"{other}\d{{3}}{mark}|{other}\d{{3}}{other}\d{{3}}").fillna(False).any()
    if sure:
        words = words.where(~parted, words.str.replace(other, "", regex=True))
    if decimal == ",":
        pointed = words.str.fullmatch(r"[+-]?\d*\.\d+").fillna(False).astype(bool)
        if not words[pointed].str.contains(r"\.(?!\d{3}$)").any():
            words = words.mask(pointed)
        words = words.str.replace(",", ".", regex=False)
    return pd.to_numeric(words, errors="coerce").astype(float)


def numbered(table: pd.DataFrame, decimal: str) -> pd.DataFrame:
    """Columns of words that are numbers throughout as numbers; those with other words among them stay as they are."""
    out = table.copy()
    for name in table.columns:
        if is_text(table[name]):
            for mark in (decimal, ",")[: 1 if decimal == "," else 2]:  # a column may have commas where others have points
                found = as_numbers(table[name], mark)
                if (found.notna() == table[name].notna()).all() and found.notna().any():
                    out[name] = found
                    break
    return out


def holds_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column is one of measurements: numbers, or words of which most are numbers (the rest must be explained)."""
    if is_text(column):
        known = column.dropna().astype("string").str.strip()
        return bool(len(known) and known.str.fullmatch(r"[+-]?\d[\d.,' \u00a0]*([eE][+-]?\d+)?").mean() > MOSTLY)
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


__all__ = ["as_numbers", "holds_numbers", "is_text", "table_in"]
