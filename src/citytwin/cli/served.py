"""Talk to a served twin: JSON requests whose errors are citytwin's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError, SimulationError, TwinError

ERRORS: dict[str, type[TwinError]] = {
    "input": InputError, "missing": MissingError, "conflict": ConflictError, "outside": OutsideError,
    "simulation": SimulationError,
}  # fmt: skip


class ServedTwin:
    """A twin that is served at a URL."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """The answer to a question. Raises what the server raised, OutsideError where none answers."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """The answer to a request with a JSON body; raises as `get`."""
        return self._ask("POST", path, body)

    def post_bytes(self, path: str, content: bytes, form: str) -> Any:
        """The answer to a request with a body of content type `form`; raises as `get`."""
        return self._ask("POST", path, None, content, {"content-type": form})

    def _ask(
        self, method: str, path: str, body: Any, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        try:
            answer = self._client.request(method, path, json=body, content=content, headers=headers)
            said = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            hint = "is `citytwin serve` running there?"
            raise OutsideError(f"no twin answers: {error}", str(self._client.base_url), hint) from error
        if answer.is_error:
            told = said.get("error", {}) if isinstance(said, dict) else {}
            kind = ERRORS.get(told.get("kind", ""), OutsideError)
            raise kind(told.get("message", f"status {answer.status_code}"), told.get("where", ""), told.get("hint", ""))
        return said


@contextmanager
def served_at(url: str) -> Iterator[ServedTwin]:
    """The twin served at `url`, for the length of a `with` block. Raises InputError where that is no address."""
    try:
        client = httpx.Client(base_url=url, timeout=30)
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError(f'"{url}" is not an address: {error}', "--url") from error
    with client:
        yield ServedTwin(client)
