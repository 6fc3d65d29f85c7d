"""The straight way to `POST /predict`, past FastAPI's solver of dependencies, which costs as much as the rest of it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.routes.access import check_key, entered
from service.routes.request import TIMEOUT_MS
from service.schemas import UrgentModelQuery


class DirectRoute(APIRoute):
    """A route of scope `predict` whose function takes the request and an `UrgentModelQuery`.

    A request with neither query nor `X-Request-Timeout-Ms` needs no solver: the checks of `access.work` are called by
    hand, in their order. Any other goes the usual way, and OpenAPI shows that one.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that chooses the way."""
        solve = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.scope["query_string"] or TIMEOUT_MS in request.headers:
                return await solve(request)
            await check_key(request, "predict")
            with entered(request):
                response: Response = await self.endpoint(request, UrgentModelQuery())
                return response

        return handle
