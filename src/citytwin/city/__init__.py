"""What exists: the city's tables, relations and ground, and the city folder that keeps them in open formats."""

from citytwin.city.folder import read_city, write_city
from citytwin.city.ground import BANDS, Ground
from citytwin.city.model import City, Facts, Source
from citytwin.city.tables import FACILITY_KINDS, FORMS, RELATION_FIELDS, RELATIONS

__all__ = [
    "BANDS", "FACILITY_KINDS", "FORMS", "RELATIONS", "RELATION_FIELDS", "City", "Facts", "Ground", "Source",
    "read_city", "write_city",
]  # fmt: skip
