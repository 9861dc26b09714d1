"""Extensions of DTDL as tables: which contexts there are, and which co-types they add to which classes.

From the extensions' own documents (DTDL.annotation, historization, initialization, mqtt, optionality, overriding,
quantitativeTypes, requirement, streaming; iotcentral; iotoperations). A vocabulary that is `open` may hold co-types and
properties that are not listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from citytwin.io.importers.dtdl.grammar import GEOSPATIAL, NAME, NUMERIC, Rule
from citytwin.io.importers.dtdl.quantities import SEMANTIC_2, SEMANTIC_3, UNITS_2, UNITS_3

VALUED = ("CommandRequest", "CommandResponse", "Field", "MapValue", "Property", "Telemetry")
TEXT = Rule("string", least=1)


@dataclass(frozen=True)
class Cotype:
    """A type that may stand beside the class of an element: on which classes, and the properties it adds.

    schemas: the names or classes one of which the element's schema must be (empty: any). sibling: the property that names
    another content of the same Interface. needs: a co-type that must be there too. excludes: co-types that must not. fixed: the
    element must not be writable. within: co-types of an Object, one of which the Object must have that this Field is of; no
    other Field of it may have the same co-type. fields: co-types one of which each Field of this Object must have. inner:
    co-types one of which the schema must have. measured: properties whose values must be values of the schema.
    """

    on: tuple[str, ...]
    properties: Mapping[str, Rule] = field(default_factory=dict)
    schemas: frozenset[str] = frozenset()
    sibling: str = ""
    needs: str = ""
    fixed: bool = False
    excludes: frozenset[str] = frozenset()
    within: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()
    measured: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """What one context adds: its co-types, schema terms, and the other terms it defines."""

    cotypes: Mapping[str, Cotype] = field(default_factory=dict)
    schemas: frozenset[str] = frozenset()
    terms: frozenset[str] = frozenset()
    languages: tuple[int, ...] = (3, 4)
    open: bool = False
    reserved: tuple[str, ...] = ()


def _quantities(
    semantic: Mapping[str, str], kinds: Mapping[str, frozenset[str]], on: tuple[str, ...], languages: tuple[int, ...]
) -> Vocabulary:
    numeric = frozenset(NUMERIC)
    cotypes = {
        name: Cotype(on, {"unit": Rule("term", least=1, only=tuple(sorted(kinds[kind])))}, numeric)
        for name, kind in semantic.items()
    }
    every = frozenset().union(*kinds.values())
    return Vocabulary(cotypes, frozenset(kinds) if languages != (2,) else frozenset(), every | set(kinds) | {"unit"}, languages)


def _wider() -> Vocabulary:
    """Version 3 of the quantities, of which not every unit is known here: units of another quantity alone are refused."""
    plain = _quantities(SEMANTIC_3, UNITS_3, VALUED, (4,))
    every = frozenset().union(*UNITS_3.values())
    kinds = {**SEMANTIC_3, "RelativeMeasure": "Unitless", "Scale": "Unitless", "Throttle": "Unitless"}
    new = ("GasLeakageRate", "KinematicViscosity", "ReciprocalLength", "ReciprocalTime")
    foreign = {name: every - UNITS_3[kind] for name, kind in kinds.items()} | dict.fromkeys(new, every)
    cotypes = {
        name: Cotype(
            VALUED, {"unit": Rule("string", least=1, pattern=rf"(?!(?:{'|'.join(sorted(units))})$).+")}, frozenset(NUMERIC)
        )
        for name, units in foreign.items()
    }
    return replace(plain, cotypes=cotypes)


def _plain(on: str, languages: tuple[int, ...] = (3, 4), **cotypes: Cotype | None) -> Vocabulary:
    return Vocabulary({name: cotype or Cotype(tuple(on.split())) for name, cotype in cotypes.items()}, languages=languages)


_OBJECT = frozenset({"Object"})
_LABEL = r"[!$-*,\-.0-z|~]+"
_BRACED = r"\{(?:[A-Za-z]+:)?[A-Za-z]+\}"
_TOPIC = Rule("string", pattern=rf"(?!\$)(?:{_LABEL}|{_BRACED})(?:/(?:{_LABEL}|{_BRACED}))*")
_GROUP = Rule("string", pattern=_LABEL)
_DURATION = r"-?P(?=[0-9T])(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"
_MQTT_1: Mapping[str, Cotype] = {
    "Mqtt": Cotype(("Interface",), {"payloadFormat": TEXT, "telemetryTopic": _TOPIC, "commandTopic": _TOPIC}),
    "Idempotent": Cotype(("Command",)),
    "Cacheable": Cotype(("Command",), {"ttl": Rule("string", least=1, pattern=_DURATION)}, needs="Idempotent"),
    "Indexed": Cotype(("EnumValue", "Field", "Telemetry"), {"index": Rule("integer", least=1, low=1)}),
}
_MQTT_2: Mapping[str, Cotype] = {
    **_MQTT_1,
    "Mqtt": Cotype(("Interface",), {**_MQTT_1["Mqtt"].properties, "serviceGroupId": _GROUP}),
    "Transparent": Cotype(("CommandRequest", "CommandResponse"), schemas=_OBJECT),
}
_RESULT, _ERROR, _EITHER = frozenset({"Result"}), frozenset({"Error"}), frozenset({"Result", "Error"})
_REQUIRED = frozenset({"Required"})
_MQTT_3: Mapping[str, Cotype] = {
    **_MQTT_2,
    "Mqtt": Cotype(("Interface",), {**_MQTT_1["Mqtt"].properties, "propertyTopic": _TOPIC} | {
        name: _GROUP for name in ("serviceGroupId", "telemServiceGroupId", "cmdServiceGroupId")}),
    "Result": Cotype(("Object",), fields=frozenset({"NormalResult", "ErrorResult"})),
    "Error": Cotype(("Object",)),
    "NormalResult": Cotype(("Field",), within=_RESULT, excludes=_REQUIRED),
    "ErrorResult": Cotype(("Field",), within=_RESULT, excludes=_REQUIRED, inner=_ERROR),
    "ErrorMessage": Cotype(("Field",), schemas=frozenset({"string"}), within=_ERROR),
}  # fmt: skip
_MQTT_4: Mapping[str, Cotype] = {
    **_MQTT_3,
    "Result": Cotype(("Object",), fields=frozenset({"NormalResult", "ErrorResult", "ErrorCode", "ErrorInfo"})),
    "ErrorCode": Cotype(("Field",), schemas=frozenset({"Enum"}), within=_EITHER),
    "ErrorInfo": Cotype(("Field",), within=_EITHER),
    "PropertyResult": Cotype(("Object",)),
    **{name: Cotype(("Field",)) for name in ("PropertyValue", "ReadError", "WriteError", "Indirect")},
}
_NUMBERS = frozenset(NUMERIC)
_LABELLED = Rule("string", least=1, longest=128)
_OPERATIONS: Mapping[str, Cotype] = {
    "Composite": Cotype(("Interface",), {"ontology": _LABELLED}, excludes=frozenset({"Event"})),
    "Congruence": Cotype(("Array", "Enum", "Interface", "Map", "Object"), {"typeRef": _LABELLED}),
    "Detail": Cotype(("Object",)),
    "Event": Cotype(("Interface",)),
    "GroupMember": Cotype(("Command",), {"group": Rule("string", least=1, longest=128, pattern=NAME)}),
    "HasCapability": Cotype(("Relationship",), excludes=frozenset({"HasComponent"})),
    "HasComponent": Cotype(("Relationship",)),
    "Limited": Cotype(
        VALUED, {"minimum": Rule("number"), "maximum": Rule("number")}, _NUMBERS, measured=("minimum", "maximum")
    ),
    "Precise": Cotype(VALUED, {"decimalPlaces": Rule("integer", least=1)}, _NUMBERS),
    "Qualified": Cotype(("Command", "Component", "Field", "Property", "Relationship", "Telemetry"), {"namespace": _LABELLED}),
    "ScaledStatically": Cotype(VALUED, {"scaleFactor": Rule("number", least=1)}, _NUMBERS, measured=("scaleFactor",)),
    "Subject": Cotype(("Field",), within=frozenset({"Detail"})),
}
_VECTOR = frozenset({"vector"})
_CENTRAL = Vocabulary(
    {
        "Event": Cotype(("Telemetry",)),
        "State": Cotype(("Property", "Telemetry"), schemas=frozenset({"Enum"})),
        "Location": Cotype(("Property", "Telemetry"), schemas=frozenset({"geopoint", *GEOSPATIAL})),
        "AccelerationVector": Cotype(("Property", "Telemetry"), {
            "unit": Rule("term", least=1, only=tuple(UNITS_2["AccelerationUnit"]))}, _VECTOR),
        "VelocityVector": Cotype(("Property", "Telemetry"), {
            "unit": Rule("term", least=1, only=tuple(UNITS_2["VelocityUnit"]))}, _VECTOR),
    },
    frozenset({"geopoint", "vector"}), languages=(2,), open=True, reserved=("dtmi:iotcentral:",),
)  # fmt: skip
_EXTENSION = "dtmi:dtdl:extension:"
_ANNOTATION = Cotype(("Property", "Telemetry"), {"annotates": TEXT}, sibling="annotates")
_INITIALIZED = Cotype(("Property",), {"initialValue": Rule("json", least=1)}, measured=("initialValue",))
_OPTIONAL = Cotype(("CommandPayload", "CommandRequest"), {"defaultValue": Rule("json", least=1)}, measured=("defaultValue",))
_OVERRIDE = Cotype(("Property",), {"overrides": TEXT}, needs="ValueAnnotation", excludes=frozenset({"Initialized"}))


def _contexts() -> dict[str, Vocabulary]:
    found = {
        "dtmi:iotcentral:context;2": _CENTRAL,
        "dtmi:iotoperations:context;4": Vocabulary(_OPERATIONS, languages=(4,), open=True),
        f"{_EXTENSION}quantitativeTypes;1": _quantities(SEMANTIC_3, UNITS_3, VALUED, (3,)),
        f"{_EXTENSION}quantitativeTypes;2": _quantities(SEMANTIC_3, UNITS_3, VALUED, (4,)),
        f"{_EXTENSION}quantitativeTypes;3": _wider(),
        f"{_EXTENSION}mqtt;1": Vocabulary(_MQTT_1, languages=(3,)),
        f"{_EXTENSION}mqtt;2": Vocabulary(_MQTT_2),
        f"{_EXTENSION}mqtt;3": Vocabulary(_MQTT_3, open=True),
        f"{_EXTENSION}mqtt;4": Vocabulary(_MQTT_4, open=True),
    }
    for version, held in ((1, (2, 3)), (2, (3, 4))):
        found[f"{_EXTENSION}initialization;{version}"] = Vocabulary({"Initialized": _INITIALIZED}, languages=held)
        found[f"{_EXTENSION}optionality;{version}"] = Vocabulary({"Optional": _OPTIONAL}, languages=held)
    for version, languages in ((1, (3,)), (2, (3, 4))):
        for name, vocabulary in {
            "annotation": _plain("", languages, ValueAnnotation=_ANNOTATION),
            "historization": _plain("Property Telemetry", languages, Historized=None),
            "overriding": _plain("", languages, Override=_OVERRIDE),
            "requirement": _plain("Field", (3, 4), Required=None),
            "streaming": _plain("Property", languages, Streaming=Cotype(("Property",), fixed=True)),
        }.items():
            found[f"{_EXTENSION}{name};{version}"] = vocabulary
    return found


CONTEXTS: Mapping[str, Vocabulary] = _contexts()
"""Every extension context that is known here."""

LIMITS: Mapping[str, int] = {"dtmi:dtdl:limits:onvif": 16, "dtmi:dtdl:limits:aio": 32}
"""Contexts of DTDL 4 that widen its limits, and the depth of nested schemas they allow."""

_NATIVE = _quantities(SEMANTIC_2, UNITS_2, ("Property", "Telemetry"), (2,))


@cache
def vocabularies(language: int, contexts: tuple[str, ...]) -> tuple[Vocabulary, ...]:
    """What applies under these contexts: of the language itself, then of each extension that is known."""
    native = (_NATIVE,) if language == 2 else ()
    return native + tuple(CONTEXTS[name] for name in contexts if name in CONTEXTS)
