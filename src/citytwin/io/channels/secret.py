"""Secrets of channels: named in the declaration, read from the environment or a file when they are needed, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import StrictStr, model_validator
from pydantic_core import PydanticCustomError

from citytwin.city.query import Form
from citytwin.errors import MissingError


class Secret(Form):
    """Where a secret is: in an environment variable (`env`), or in a file of its own (`file`, whose line end is left out)."""

    env: StrictStr | None = None
    file: StrictStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _never_plain(cls, said: Any) -> Any:
        if isinstance(said, str):
            words = 'a secret does not stand in the file (write {env = "NAME"} or {file = "PATH"})'
            raise PydanticCustomError("wrong", "{said}", {"said": words})
        return said

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError("wrong", "{said}", {"said": 'where is the secret? (give env = "NAME" or file = "PATH")'})
        return self

    def read(self) -> str:
        """The secret. Raises MissingError."""
        if self.env is not None:
            found = os.environ.get(self.env, "")
            if not found:
                raise MissingError(f"environment variable {self.env} is not set", "channels.toml")
            return found
        try:
            found = Path(str(self.file)).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise MissingError(f"the secret in {self.file} cannot be read", "channels.toml") from error
        if not found:
            raise MissingError(f"{self.file} is empty", "channels.toml")
        return found


def without(text: str, *secrets: str) -> str:
    """`text` in which no secret stands."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 2:
            text = text.replace(secret, "***")
    return text
