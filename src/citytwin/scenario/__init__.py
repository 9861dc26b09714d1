"""What if: the scenario document, playing it once or as an ensemble, the result with its provenance, comparison."""

from citytwin.scenario.document import Scenario, check, json_schema, parse, parse_text, read_scenario
from citytwin.scenario.play import play
from citytwin.scenario.result import IMPACT, Result, compare, middle, read_result
from citytwin.scenario.study import run

__all__ = [
    "IMPACT", "Result", "Scenario", "check", "compare", "json_schema", "middle", "parse", "parse_text", "play", "read_result",
    "read_scenario", "run",
]  # fmt: skip
