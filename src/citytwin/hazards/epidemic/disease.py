"""A disease as declared data: a TOML file says states, transitions, durations, who infects whom, immunity, variants, sources.

`read_disease` refuses what does not hold together with one line; `shipped_diseases` are the files in `diseases/`. Every number
may be written plain or as {value = ..., source = "..."}.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from citytwin.errors import InputError, MissingError, nearest
from citytwin.hazards.epidemic.arrays import AGE_GROUPS
from citytwin.units import Quantity

BAND = re.compile(r"^(\d+)(?:-(\d+)|\+)?$")
SUSCEPTIBLE = "susceptible"


def _plain(said: Any) -> Any:
    """The value of {value, source}, or what was said."""
    return said["value"] if isinstance(said, dict) and set(said) <= {"value", "source"} and "value" in said else said


def by_age(said: Any) -> npt.NDArray[np.float64]:
    """A number for each five-year group, of one number or of bands {"0-9" = 0.4, "10+" = 1}. Raises ValueError."""
    if not isinstance(said, dict):
        return np.full(AGE_GROUPS, float(said))
    values = np.full(AGE_GROUPS, np.nan)
    for band, value in said.items():
        found = BAND.match(str(band))
        if not found:
            raise ValueError(f'"{band}" is not a band of ages, as in "0-9" or "80+"')
        low = int(found[1])
        high = int(found[2]) if found[2] else (10_000 if str(band).endswith("+") else low)
        values[min(low // 5, AGE_GROUPS) : high // 5 + 1] = float(value)
    if np.isnan(values).any():
        missing = int(np.flatnonzero(np.isnan(values))[0]) * 5
        raise ValueError(f"no band holds age {missing}")
    return values


def _ages(said: Any) -> Any:
    said = _plain(said)
    by_age(said)
    return said


Days = Annotated[float, Quantity("s"), Field(ge=0)]
Number = Annotated[float, BeforeValidator(_plain)]
Share = Annotated[float, BeforeValidator(_plain), Field(ge=0, le=1)]
ByAge = Annotated[float | dict[str, float], BeforeValidator(_ages)]
DAY = 86400.0


class Part(BaseModel):
    """Base of the parts of a declaration."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
    source: str = ""


class Duration(Part):
    """A distribution of a time: mean and standard deviation with units, as in "5 d"."""

    distribution: Literal["fixed", "exponential", "gamma", "lognormal", "weibull"] = "gamma"
    mean: Days
    sd: Days | None = None

    def quantiles(self, count: int) -> npt.NDArray[np.float64]:
        """`count` quantiles in days, at the middle of equal shares, scaled so that their mean is the mean."""
        from scipy import optimize, special, stats

        u = (np.arange(count) + 0.5) / count
        mean = self.mean / DAY
        sd = mean * 0.5 if self.sd is None else self.sd / DAY
        if self.distribution == "fixed" or sd == 0 or mean == 0:
            return np.full(count, mean)
        if self.distribution == "exponential":
            values = -mean * np.log1p(-u)
        elif self.distribution == "lognormal":
            width = np.sqrt(np.log1p((sd / mean) ** 2))
            values = stats.lognorm.ppf(u, width, scale=mean * np.exp(-(width**2) / 2))
        elif self.distribution == "weibull":
            spread = 1 + (sd / mean) ** 2
            shape = optimize.brentq(lambda k: special.gamma(1 + 2 / k) / special.gamma(1 + 1 / k) ** 2 - spread, 0.2, 30.0)
            values = stats.weibull_min.ppf(u, shape, scale=mean / special.gamma(1 + 1 / shape))
        else:
            values = stats.gamma.ppf(u, (mean / sd) ** 2, scale=sd**2 / mean)
        return np.asarray(values * (mean / values.mean()))


class DiseaseState(Part):
    """A state. `activity`: share of usual contacts outside the home; `infected`: where an infection begins.

    bed: what a person in it needs; without_bed: added probability of death where there is none. immune: the course has ended.
    """

    title: str = ""
    infectivity: Number = Field(0.0, ge=0, le=100)
    activity: Share = 1.0
    symptoms: bool = False
    bed: Literal["none", "ward", "intensive"] = "none"
    without_bed: Share = 0.0
    infected: bool = False
    immune: bool = False
    dead: bool = False


class Transition(BaseModel):
    """One way on from a state. Of a state's ways all but one have a probability; the one without takes the rest."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, populate_by_name=True)
    begin: str = Field(alias="from")
    to: str
    after: Duration
    probability: ByAge | None = None
    severe: bool = False
    source: str = ""


class Spread(Part):
    """How it spreads: basic reproduction number, or a probability per contact; weights of places; who infects more.

    r0: the dominant eigenvalue of the next-generation matrix by age of the city's contacts. dispersion: k of the gamma
    distribution of a person's infectivity (none: all alike). profile: infectivity by whole days since infection.
    """

    r0: Number | None = Field(None, ge=0, le=50)
    per_contact: Number | None = Field(None, ge=0)
    dispersion: Number | None = Field(None, gt=0)
    susceptibility: ByAge = 1.0
    infectivity: ByAge = 1.0
    profile: list[float] | None = None
    places: dict[Literal["household", "class", "team", "care_home", "community", "transit"], float] = {}


class Immunity(Part):
    """After an infection: protection against the same variant, how it wanes, and factor on severe illness later."""

    protection: Share = 1.0
    half_life: Days | None = None
    lasting: Share = 0.0
    severe: Share = 1.0


class Variant(Part):
    """A variant beside the first: factors on infectivity and severity, and how much of earlier protection it escapes."""

    infectivity: Number = Field(1.0, gt=0, le=20)
    severity: Number = Field(1.0, ge=0, le=20)
    escape: Share = 0.0
    vaccine_escape: Share = 0.0


class Vaccine(Part):
    """Protection by dose (first, second, ...) against infection and against severe illness, full `after` the dose, waning."""

    infection: list[Share] = Field(min_length=1, max_length=5)
    severe: list[Share] = Field(min_length=1, max_length=5)
    after: Days = 14 * DAY
    half_life: Days | None = None
    interval: Days = 28 * DAY


class Surroundings(Part):
    """Infection from water: rate per person and day in fully contaminated water, and how contamination comes and goes.

    Contamination is relative to the half-saturating dose: rate x w / (1 + w) (Codeço 2001). shedding: w per day if everybody in
    a zone were infectious; decay: time to fall to 1/e; flood: w in a home under water; without_water: w where taps are dry.
    """

    rate: Number = Field(ge=0)
    decay: Days
    shedding: Number = Field(0.0, ge=0)
    flood: Number = Field(0.0, ge=0)
    without_water: Number = Field(0.0, ge=0)


class Heat(Part):
    """Illness from heat alone: risk per person and day for each kelvin of the day's highest temperature above a limit."""

    above: Annotated[float, Quantity("degC")]
    risk: ByAge


class Disease(BaseModel):
    """A whole declaration, checked."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    name: str
    summary: str = ""
    sources: list[str] = []
    states: dict[str, DiseaseState] = Field(min_length=2)
    transitions: list[Transition] = Field(min_length=1)
    spread: Spread = Field(default_factory=lambda: Spread.model_validate({}))
    immunity: Immunity = Field(default_factory=lambda: Immunity.model_validate({}))
    variants: dict[str, Variant] = {}
    vaccine: Vaccine | None = None
    water: Surroundings | None = None
    heat: Heat | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Disease:
        if SUSCEPTIBLE not in self.states:
            raise ValueError(f'there is no state "{SUSCEPTIBLE}"')
        first = [name for name, state in self.states.items() if state.infected]
        if len(first) != 1:
            raise ValueError("exactly one state has infected = true: the one that an infection begins in")
        for way in self.transitions:
            for name in (way.begin, way.to):
                if name not in self.states:
                    raise ValueError(f'no state "{name}" ({nearest(name, self.states)})')
        if any(way.begin == SUSCEPTIBLE for way in self.transitions):
            raise ValueError("nobody leaves susceptible by a transition: infections do that")
        self._ways_add_up()
        self._courses_end(first[0])
        if len(self.variants) > 30 or len(self.states) > 100:
            raise ValueError("at most 100 states and 30 variants")
        return self

    def _ways_add_up(self) -> None:
        for name, state in self.states.items():
            ways = self.ways(name)
            if ways and (state.immune or state.dead):
                raise ValueError(f'"{name}" ends the course and has a transition')
            if not ways and not (state.immune or state.dead or name == SUSCEPTIBLE):
                raise ValueError(f'"{name}" has no transition and is neither immune nor dead')
            if ways and sum(way.probability is None for way in ways) != 1:
                raise ValueError(f'of the transitions from "{name}" exactly one has no probability: it takes the rest')
            total = sum(by_age(way.probability) for way in ways if way.probability is not None)
            if np.any(np.asarray(total) > 1 + 1e-9) or any(np.any(by_age(w.probability) < 0) for w in ways if w.probability):
                raise ValueError(f'the probabilities from "{name}" add up to more than 1, or one is negative')
            if state.bed != "none" and state.without_bed > 0 and not any(s.dead for s in self.states.values()):
                raise ValueError(f'"{name}" has without_bed, and no state is dead')

    def _courses_end(self, first: str) -> None:
        seen: list[str] = []

        def follow(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise ValueError(f"transitions go in a circle: {' -> '.join([*path, name])}")
            seen.append(name)
            for way in self.ways(name):
                follow(way.to, (*path, name))

        follow(first, ())
        lost = [name for name in self.states if name not in seen and name != SUSCEPTIBLE]
        if lost:
            raise ValueError(f'no course leads to "{lost[0]}"')

    def ways(self, name: str) -> list[Transition]:
        """The transitions from a state, the one that takes the rest last."""
        return sorted((w for w in self.transitions if w.begin == name), key=lambda w: w.probability is None)

    @property
    def infected(self) -> str:
        """The state in which an infection begins."""
        return next(name for name, state in self.states.items() if state.infected)


@cache
def shipped_diseases() -> tuple[str, ...]:
    """Names of the diseases that come with citytwin."""
    folder = resources.files("citytwin.hazards.epidemic").joinpath("diseases")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def read_disease(name: str, folder: Path | None = None) -> Disease:
    """The disease called `name`, or in the TOML file `name` beside the scenario. Raises InputError, MissingError."""
    if name in shipped_diseases():
        text = (
            resources.files("citytwin.hazards.epidemic")
            .joinpath("diseases")
            .joinpath(f"{name}.toml")
            .read_text(encoding="utf-8")
        )
        return parse_disease(text, name)
    if not name.endswith(".toml"):
        raise InputError(f'no disease "{name}"', hint=nearest(name, shipped_diseases()) + ", or a file NAME.toml")
    if folder is None:
        raise InputError(f'cannot read "{name}": this scenario may not name files', hint=nearest(name, shipped_diseases()))
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError("no such file", str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error
    return parse_disease(text, str(path))


def parse_disease(text: str, where: str) -> Disease:
    """The disease declared in TOML `text`. Raises InputError with the first problem."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", where) from error
    try:
        return Disease.model_validate(said)
    except ValidationError as error:
        raise InputError(*_problem(error, where)) from error


def _problem(error: ValidationError, where: str) -> tuple[str, str, str]:
    first = error.errors()[0]
    place = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        allowed = _entries(first["loc"][:-1])
        return f'"{first["loc"][-1]}" is not an entry here', f"{where}: {place}", nearest(str(first["loc"][-1]), allowed)
    given = first.get("input")
    shown = f" (given: {given!r})" if isinstance(given, (str, int, float)) else ""
    return first["msg"].removeprefix("Value error, ") + shown, f"{where}: {place}" if place else where, ""


def _entries(path: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "states": DiseaseState, "transitions": Transition, "spread": Spread, "immunity": Immunity, "variants": Variant,
        "vaccine": Vaccine, "water": Surroundings, "heat": Heat,
    }  # fmt: skip
    model: type[BaseModel] = models.get(str(path[0]), Disease) if path else Disease
    if "after" in path and path[0] == "transitions":
        model = Duration
    return [field.alias or name for name, field in model.model_fields.items()]
