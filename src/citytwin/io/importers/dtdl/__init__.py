"""DTDL models (Digital Twins Definition Language 2, 3 and 4): checked, and read as kinds, columns and relations of a city."""

from __future__ import annotations

from citytwin.io.importers.dtdl.declare import columns_of, declared, in_words
from citytwin.io.importers.dtdl.dtmi import check_dtmi
from citytwin.io.importers.dtdl.model import Content, Interface, Options, Schema, options, parse, read_models
from citytwin.io.importers.dtdl.refusal import ModelError

__all__ = [
    "Content", "Interface", "ModelError", "Options", "Schema", "check_dtmi", "columns_of",
    "declared", "in_words", "options", "parse", "read_models",
]  # fmt: skip
