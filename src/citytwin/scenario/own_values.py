"""A city's own values for what is reckoned in every scenario: `impact.toml` in the city folder.

The impact simulators run without being named, so what a city knows better than our defaults (its wealth, its prices, its
thresholds) stands beside its tables: one section for each of them, with that simulator's parameters. What the scenario says
under `impact:` counts before it, entry by entry. Both are read by the same declarations; provenance says what was used.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from citytwin.errors import InputError, nearest
from citytwin.scenario.document import ROOMS, validated
from citytwin.sim import Parameters, Spec, all_simulators

FILE = "impact.toml"


class OwnValues:
    """The sections of a city's `impact.toml`; none where there is no such file. Raises InputError."""

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / FILE if folder is not None else None
        self.sections: dict[str, Any] = {}
        if self.path is None or not self.path.is_file():
            return
        try:
            self.sections = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"cannot be read: {error}", str(self.path)) from error
        known = {s.spec.name: s.spec for s in all_simulators() if s.spec.room == ROOMS["impact"]}
        for name in self.sections:
            if name not in known:
                raise InputError(f'"{name}" is not a section here', str(self.path), nearest(name, known))
            self.under(known[name], None)

    def under(self, spec: Spec, said: Parameters | None) -> Parameters:
        """The parameters of a simulator: what the scenario `said`, over the city's own values, over the defaults."""
        own = self.sections.get(spec.name)
        if own is None:
            return said if said is not None else spec.params()
        problems: list[InputError] = []
        found = validated(spec.params, own, f"{self.path}: {spec.name}", None, problems)
        if not isinstance(found, Parameters):
            raise problems[0]
        return found if said is None else found.model_copy(update={name: getattr(said, name) for name in said.model_fields_set})
