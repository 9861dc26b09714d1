"""MQTT topic filters: `+` for one level, `#` for all that follow (OASIS MQTT 3.1.1, section 4.7)."""

from __future__ import annotations

import re

from citytwin.errors import InputError


class Pattern:
    """A topic filter; `{name}` stands for one level like `+` and is handed over by its name."""

    def __init__(self, text: str) -> None:
        self.text = text
        levels = text.split("/")
        if not text or "#" in levels[:-1] or any(len(v) > 1 and ("#" in v or "+" in v) for v in levels):
            raise InputError(f'"{text}" is not a topic filter', "topic", "levels between slashes; + is one level, # ends it")
        words = "/".join(_level(level) for level in levels)
        self._expression = re.compile(words.removesuffix("/.*") + "(?:/.*)?" if words.endswith("/.*") else words)

    @property
    def plain(self) -> str:
        """The filter with `+` where levels have names, as MQTT knows it."""
        return re.sub(r"\{\w+\}", "+", self.text)

    def matches(self, topic: str) -> dict[str, str] | None:
        """The named levels of `topic`, or None where it does not match."""
        found = self._expression.fullmatch(topic)
        return found.groupdict() if found else None


def _level(level: str) -> str:
    name = re.fullmatch(r"\{(\w+)\}", level)
    if name:
        return f"(?P<{name[1]}>[^/]+)"
    return {"+": "[^/]+", "#": ".*"}.get(level) or re.escape(level)
