"""Whatever is asked in the forms that the interface publishes, and beside them, the server never breaks."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
HELD = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
BOUNDED = settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def schema(server):
    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


def test_the_interface_is_published(server):
    paths = httpx.get(f"{server.url}/api/openapi.json").json()["paths"]
    assert {"/api/city", "/api/things/{table}/{key}", "/api/runs", "/api/runs/{id}", "/api/readings"} <= set(paths)
    for operations in paths.values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            assert "400" in operation["responses"]


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server(schema, server, mode):
    checks = CHECKS.get_by_names(list(HELD))
    tried = 0

    for found in schema.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(checks=checks, timeout=30)

        try:
            holds()
        except Unsatisfiable:  # nothing can be wrong about a request without parameters
            assert mode is schemathesis.GenerationMode.NEGATIVE
    assert tried > 50
