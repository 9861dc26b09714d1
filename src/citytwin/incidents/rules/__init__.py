"""Rules: declared conditions on the city's columns, looked at once a second over all things at once."""

from citytwin.incidents.rules.document import SEVERITIES, Rule, json_schema, rule_of, rules_of
from citytwin.incidents.rules.engine import Engine, View, Watched

__all__ = ["SEVERITIES", "Engine", "Rule", "View", "Watched", "json_schema", "rule_of", "rules_of"]
