"""Routes that are read: whatever takes GET takes HEAD (RFC 9110 §9.1), and a refusal's `Allow` names both."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def readable(router: APIRouter, path: str, **described: Any) -> Callable[[Endpoint], Endpoint]:
    """A decorator for a function that answers GET and HEAD; OpenAPI shows GET alone, as `described`."""

    def add(endpoint: Endpoint) -> Endpoint:
        router.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)(endpoint)
        return router.get(path, **described)(endpoint)

    return add
