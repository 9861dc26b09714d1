"""How a model is refused: one line with the word that the DTDL parser itself uses for the mistake."""

from __future__ import annotations

from typing import NoReturn

from citytwin.errors import InputError


class ModelError(InputError):
    """A DTDL model is not valid. `validation` is the last word of the parser's ValidationID."""

    def __init__(self, validation: str, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(f"{validation}: {message}", where, hint)
        self.validation = validation
        self.parts = (validation, message, where, hint)

    def at(self, where: str) -> ModelError:
        """The same refusal, with the place if it has none."""
        validation, message, known, hint = self.parts
        return ModelError(validation, message, known or where, hint)

    def __reduce__(self) -> tuple[type[ModelError], tuple[str, str, str, str]]:  # type: ignore[override]
        return type(self), self.parts


def refuse(validation: str, message: str, where: str = "", hint: str = "") -> NoReturn:
    """Raise the ModelError called `validation`."""
    raise ModelError(validation, message, where, hint)
