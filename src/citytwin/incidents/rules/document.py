"""Rules as declared data: what to look at, when it is wrong, how grave that is, whom to tell and what to say.

A `Rule` is what one table `[rule.NAME]` of a city's `rules.toml` says; the same as JSON over HTTP. Quantities carry units and
are read against the columns that they are compared with when the rule is put to work (`citytwin.incidents.rules.engine`).
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from citytwin import units
from citytwin.city.query import Form, Query, Text
from citytwin.errors import InputError, nearest
from citytwin.incidents.rules.schedule import Hours
from citytwin.state import STATUS

SEVERITIES = ("info", "warning", "severe", "critical")
Severity = Literal["info", "warning", "severe", "critical"]
NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Said = StrictFloat | StrictStr  # a quantity as it is written
TAKES = ("mean", "max", "min", "sum", "median")
FIELDS = ("key", "name", "table", "zone", "value", "limit", "rule", "title", "severity", "number")  # of a message
DEEPEST = 6
MOST_RULES = 10_000


def wrong(message: str, hint: str) -> PydanticCustomError:
    """A mistake with its way out, for a validator to raise."""
    return PydanticCustomError("wrong", "{said}", {"said": f"{message} ({hint})"})


# the shapes of a condition: the entry that tells the shape, and what may stand beside it
SHAPES: dict[str, tuple[str, ...]] = {
    "above": ("column", "until", "forecast", "run"), "below": ("column", "until", "forecast", "run"), "equals": ("column",),
    "rises": ("column", "within", "until"), "falls": ("column", "within", "until"), "silent": (), "status": (),
    "share_of": ("above", "below", "until"), "number_of": ("above", "below", "until"),
    "all": (), "any": (), "none": (), "of": ("at_least",),
}  # fmt: skip
ORDER = ("share_of", "number_of", "all", "any", "none", "of", "rises", "falls", "silent", "status", "equals", "above", "below")


class When(Form):
    """One condition; the entries that stand in it tell its shape.

    above, below: `column` beyond a quantity, until it is back behind `until` (hysteresis). equals: one of some values.
    rises, falls: `column` has changed by so much since its lowest (highest) value `within` a time.
    silent: nothing was heard from the device for a time, or for so many of its periods (`3 periods`). status: a device is
    one of these. forecast: not the live value but that of the newest run whose name is like `run`, at its worst (`peak`) or
    within a time from its start (`6 h`). share_of, number_of: how many of a group meet a condition (only with `per`).
    all, any, none, of with at_least: of several conditions.
    """

    column: Text | None = None
    above: Said | None = None
    below: Said | None = None
    until: Said | None = None
    equals: StrictFloat | StrictStr | Annotated[list[StrictFloat | StrictStr], Field(min_length=1, max_length=300)] | None = (
        None
    )
    rises: Said | None = None
    falls: Said | None = None
    within: StrictStr | None = None
    silent: StrictStr | None = None
    status: Annotated[list[Text], Field(min_length=1, max_length=20)] | None = None
    forecast: StrictStr | None = None
    run: Text | None = None
    share_of: When | None = None
    number_of: When | None = None
    all: Annotated[list[When], Field(min_length=1, max_length=50)] | None = None
    any: Annotated[list[When], Field(min_length=1, max_length=50)] | None = None
    none: Annotated[list[When], Field(min_length=1, max_length=50)] | None = None
    of: Annotated[list[When], Field(min_length=1, max_length=50)] | None = None
    at_least: Annotated[int, Field(ge=1)] | None = None

    @property
    def shape(self) -> str:
        """The entry that tells what this condition is."""
        return next(name for name in ORDER if name in self.model_fields_set)

    @property
    def parts(self) -> list[When]:
        """The conditions within this one."""
        one = [w for w in (self.share_of, self.number_of) if w is not None]
        return [*one, *(self.all or self.any or self.none or self.of or [])]

    def every(self) -> Iterator[When]:
        """Itself and all conditions within it."""
        yield self
        for part in self.parts:
            yield from part.every()

    @model_validator(mode="after")
    def _whole(self) -> When:
        given = self.model_fields_set
        shape = next((name for name in ORDER if name in given), None)
        if shape is None:
            raise wrong(
                "a condition compares nothing", "give above, below, equals, rises, falls, silent, status, all, any, none or of"
            )
        allowed = {shape, *SHAPES[shape]}
        extra = sorted(given - allowed)
        if extra:
            raise wrong(f'"{extra[0]}" does not go with "{shape}"', f"beside {shape}: {', '.join(SHAPES[shape]) or 'nothing'}")
        if "column" in SHAPES[shape] and self.column is None:
            raise wrong(f'"{shape}" of what?', "name a column")
        self._shaped(shape)
        return self

    def _shaped(self, shape: str) -> None:
        if shape in ("share_of", "number_of") and (self.above is None) == (self.below is None):
            raise wrong(f"{shape} is compared with one limit", "give above or below")
        if shape in ("rises", "falls") and self.within is None:
            raise wrong(f'"{shape}" within what time?', 'give within, as in "1 h"')
        if (self.forecast is None) != (self.run is None):
            raise wrong("a forecast is of the runs whose name is like `run`", 'as in forecast = "6 h", run = "nowcast*"')
        if shape == "of" and (self.at_least is None or self.at_least > len(self.of or ())):
            raise wrong("at_least is how many of the conditions must hold", f"1 to {len(self.of or ())}")


class Level(Form):
    """A graver level of a rule: its severity, its condition, and how long that must hold."""

    severity: Severity
    when: When
    after: StrictStr | None = None


class Step(Form):
    """What happens when nobody has acknowledged an alert for a time: it becomes graver, more are told."""

    after: StrictStr
    severity: Severity | None = None
    channels: Annotated[tuple[Text, ...], Field(max_length=50)] = ()


class Rule(Form):
    """A rule. `on`: the things it looks at, a query. `per`: `thing`, `city`, or a property by which things are grouped
    (`zone`): then columns are summed up by `take` first. `when`: the condition for `severity`; `levels`: graver ones, in order.
    `after`, `clear_after`: how long it must hold (must not hold) before an alert opens (closes). `active`: hours in which the
    rule counts. `message`: what to say, with fields in braces. `channels`: whom to tell; without it every channel whose `least`
    severity is reached. `escalate`: steps while nobody acknowledges.
    """

    title: Text = ""
    enabled: StrictBool = True
    severity: Severity = "warning"
    on: Query
    per: Text = "thing"
    take: Literal["mean", "max", "min", "sum", "median"] = "mean"
    when: When
    levels: Annotated[tuple[Level, ...], Field(max_length=5)] = ()
    after: StrictStr = "0 s"
    clear_after: StrictStr = "0 s"
    active: Annotated[tuple[Hours, ...], Field(max_length=50)] = ()
    message: Annotated[str, Field(max_length=2000)] = "{name}: {value} (limit {limit})"
    channels: Annotated[tuple[Text, ...], Field(max_length=50)] | None = None
    escalate: Annotated[tuple[Step, ...], Field(max_length=10)] = ()

    @property
    def every_level(self) -> list[Level]:
        """The levels from the first on, each with its severity, condition and delay."""
        first = Level(severity=self.severity, when=self.when, after=self.after)
        return [first, *(level.model_copy(update={"after": level.after or self.after}) for level in self.levels)]

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        grades = [SEVERITIES.index(level.severity) for level in self.every_level]
        if grades != sorted(set(grades)):
            raise wrong("levels are not in order", f"each graver than the one before: {', '.join(SEVERITIES)}")
        for said in (
            self.after,
            self.clear_after,
            *(level.after or "0 s" for level in self.levels),
            *(s.after for s in self.escalate),
        ):
            duration(said)
        for when in (w for level in self.every_level for w in level.when.every()):
            _fits(when, self.per != "thing")
        _depth(self.every_level)
        template(self.message)
        return self


def _fits(when: When, grouped: bool) -> None:
    if when.shape in ("share_of", "number_of") and not grouped:
        raise wrong(f"{when.shape} counts the things of a group", 'give per = "zone" or per = "city"')
    for said in (when.within, when.forecast if when.forecast != "peak" else None):
        if said is not None:
            duration(said)
    if when.silent is not None:
        silence(when.silent)
    for word in when.status or ():
        if word not in STATUS:
            raise wrong(f'no device is "{word}"', nearest(word, STATUS))


def _depth(levels: list[Level]) -> None:
    deepest, front = 0, [level.when for level in levels]
    while front:
        deepest += 1
        front = [part for when in front for part in when.parts]
    if deepest > DEEPEST:
        raise wrong("too many conditions within conditions", f"at most {DEEPEST}")


def duration(said: str) -> float:
    """A time in seconds, not negative; mistakes are those of a validator."""
    try:
        seconds = units.seconds(said)
    except InputError as error:
        raise wrong(error.message, error.hint or "as in 5 min") from error
    if seconds < 0:
        raise wrong(f'"{said}" is negative', "as in 5 min")
    return seconds


def silence(said: str) -> tuple[float, float]:
    """How long a silence is: (seconds, 0) or (0, periods of the device)."""
    words = said.split()
    if len(words) == 2 and words[1] in ("period", "periods"):
        try:
            number = float(words[0])
        except ValueError:
            number = 0.0
        if number > 0:
            return 0.0, number
        raise wrong(f'"{said}" is no number of periods', "as in 3 periods")
    return duration(said), 0.0


def template(text: str) -> list[str]:
    """The fields of a message. Only plain names in braces: more of what Python's format allows could read anything."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise wrong(f"the message cannot be read: {error}", "write a brace that is meant as one twice: {{") from error
    names = [name for _, name, form, turned in parts if name is not None]
    for _, name, form, turned in parts:
        if name is not None and name not in FIELDS:
            raise wrong(f'no field "{name}" in a message', nearest(name, FIELDS))
        if form or turned:
            raise wrong(f'field "{name}" has a format', f"write {{{name}}}")
    return names


def rule_of(said: Any, where: str = "rule") -> Rule:
    """The rule that `said` (plain values) describes. Raises InputError with the place of the first mistake."""
    try:
        return Rule.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(str(first["msg"]), ".".join([where, *(str(part) for part in first["loc"])])) from error


def rules_of(said: Any, where: str = "rules.toml") -> dict[str, Rule]:
    """All rules of a document `{"rule": {name: rule}}`. Raises InputError."""
    if not isinstance(said, dict) or set(said) - {"rule"}:
        extra = next(iter(set(said) - {"rule"}), "") if isinstance(said, dict) else ""
        raise InputError(f'no entry "{extra}"', where, "every rule is a table [rule.NAME]")
    rules = said.get("rule", {})
    if not isinstance(rules, dict):
        raise InputError("rules have names", where, "every rule is a table [rule.NAME]")
    if len(rules) > MOST_RULES:
        raise InputError(f"{len(rules)} rules", where, f"at most {MOST_RULES}")
    return {check_name(name, where): rule_of(each, f"{where}: rule.{name}") for name, each in rules.items()}


def check_name(name: str, where: str = "rule") -> str:
    """A rule's name, if it is one. Raises InputError."""
    if not name.isidentifier() or name != name.lower() or not name[0].isalpha() or len(name) > 100:
        raise InputError(f'"{name}" is not a name of a rule', where, "lower-case letters, digits and _, a letter first")
    return name


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a rules document, for editors to complete and check."""
    schema = Rule.model_json_schema()
    definitions = schema.pop("$defs", {})
    definitions["Rule"] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Rules of a city", "type": "object",
        "additionalProperties": False, "$defs": definitions,
        "properties": {"rule": {"type": "object", "propertyNames": {"pattern": NAME},
                                "additionalProperties": {"$ref": "#/$defs/Rule"}}},
    }  # fmt: skip
