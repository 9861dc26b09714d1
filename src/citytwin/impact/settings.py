"""A city's own values for the impact simulators: `impact.toml` in the city folder.

The impact simulators run in every scenario without being named, so what a city knows better than our defaults (its wealth,
its prices, its thresholds) stands beside its tables: `[exposure]`, `[loss]`, `[access]`, each with that simulator's parameters.
"""

from __future__ import annotations

import tomllib
from typing import TypeVar

from pydantic import ValidationError

from citytwin.errors import InputError, nearest
from citytwin.sim import Parameters, Setup

FILE = "impact.toml"
SECTIONS = ("exposure", "loss", "access")

Params = TypeVar("Params", bound=Parameters)


def settings(setup: Setup, name: str, model: type[Params]) -> Params:
    """The parameters of simulator `name`: what the scenario says, over what the city folder says, over the defaults.

    Raises InputError where `impact.toml` cannot be read or holds an entry that is not one.
    """
    said: Params = setup.params
    path = setup.city.folder / FILE if setup.city.folder is not None else None
    if path is None or not path.is_file():
        return said
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read: {error}", str(path)) from error
    for section in whole:
        if section not in SECTIONS:
            raise InputError(f'"{section}" is not a section here', str(path), nearest(section, SECTIONS))
    own = whole.get(name, {})
    for entry in own:
        if entry not in model.model_fields:
            raise InputError(f'"{entry}" is not an entry of [{name}]', str(path), nearest(entry, model.model_fields))
    try:
        return model.model_validate({**own, **said.model_dump(exclude_unset=True)})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(message[0].lower() + message[1:], f"{path}: {name}.{'.'.join(map(str, first['loc']))}") from error
