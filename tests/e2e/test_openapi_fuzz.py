"""What the OpenAPI document allows, and much that it does not, sent to a server in a process of its own."""

from typing import Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.e2e.conftest import Server

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
OPERATIONS = 11


def test_no_request_makes_a_fault_of_ours_and_every_answer_is_as_documented(server: Server) -> None:
    schema = schemathesis.openapi.from_dict(httpx2.get(f"{server.url}/openapi.json").json())
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) == OPERATIONS
    for operation in operations:
        changeable = bool(operation.path_parameters or operation.query or operation.body)
        for mode in GenerationMode if changeable else [GenerationMode.POSITIVE]:

            @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(base_url=server.url, checks=CHECKS)

            ask()
    assert not [line for line in server.lines() if line["event"] == "unhandled"]
