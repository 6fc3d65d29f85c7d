"""The service over many machines, on Ray Serve: a front that holds each request until a replica has answered it.

    serve run deploy.ray.application:application

A replica is the whole service, `service.app.create_app`. When its machine dies, the front asks another replica; that
is safe, since a prediction changes nothing. The front runs beside the cluster's head, without which Ray does not live.
"""

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from deploy.ray.travel import Answer, Question, ask
from service.app import create_app, intake_of
from service.errors import DeadlineExceeded, LoadFailed, Overloaded, ServiceError, WorkerDied
from service.logs import REQUEST_ID, accepted_id, configure
from service.routes.access import client_of, key_file
from service.routes.request import limited_body
from service.schemas import PROBLEM_JSON, problem_of
from service.settings import Settings, read_settings

ATTEMPTS = 4
"""Replicas asked before a request is given up; each has died under it."""
PAUSE_SECONDS = 0.5
"""Before the next attempt, in which Ray takes the dead replica off its list."""
PATIENCE_SECONDS = 60
"""For all attempts; a replica keeps its own deadline, this covers the time until Ray has noticed a dead machine."""
CHANGE = re.compile(r"/models/[^/]+/(un)?load")
"""What a single replica would do for itself alone, so that callers got now the one model, now the other."""
SCALING = {
    "autoscaling_config": {
        "min_replicas": 1,
        "max_replicas": 8,
        "target_ongoing_requests": 8,  # what waits and what runs, so that replicas come when the queue grows
        "downscale_delay_s": 300,
    }
}
REPLICA = {
    "max_ongoing_requests": 64,
    "health_check_period_s": 5,
    "graceful_shutdown_timeout_s": 30,
    "ray_actor_options": {"num_cpus": 1},
}
FRONT = {
    "num_replicas": 1,
    "max_ongoing_requests": 1000,
    "ray_actor_options": {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}},
}


class Replica:
    """The whole service in one process, without a port of its own."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray awaits it
        configure(settings.log_level)
        self._app = create_app(settings)
        self._running = AsyncExitStack()
        await self._running.enter_async_context(self._app.router.lifespan_context(self._app))

    async def answer(self, question: Question) -> Answer:
        """What the service answers."""
        return await ask(self._app, question)

    async def check_health(self) -> None:
        """Raise where the service says that it cannot answer; Ray then starts another replica in its place."""
        if fault := self._app.state.catalogue.fault():
            raise RuntimeError(fault)


class Front:
    """Takes a request in whole, within the service's bounds, and keeps it until it is answered."""

    def __init__(self, replicas: DeploymentHandle[Any], settings: Settings) -> None:
        self._replicas = replicas
        self._most_bytes = settings.max_batch_body_bytes
        self._intake = intake_of(settings)
        self._asked_again = 0

    async def __call__(self, request: Request) -> Response:
        """A replica's answer, or a problem where there is none."""
        request.state.noted = {}  # keys are the replica's to read, so that here an address is a client
        try:
            if CHANGE.fullmatch(request.scope["path"]):
                raise LoadFailed("on Ray models change by deploying anew: it opens what lies in the repository")
            with self._intake.visit(client_of(request)) as visit:
                request.state.visit = visit
                body = b"".join([chunk async for chunk in limited_body(request, self._most_bytes)])
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return (await self._ask(Question.of(request, body))).response()
        except TimeoutError:
            return problem(request, DeadlineExceeded(f"no replica answered within {PATIENCE_SECONDS} s"))
        except ServiceError as error:
            return problem(request, error)

    def asked_again(self) -> int:
        """How often a replica died under a request that was then given to another."""
        return self._asked_again

    async def _ask(self, question: Question) -> Answer:
        for _ in range(ATTEMPTS):
            try:
                answer: Answer = await self._replicas.answer.remote(question)
            except (RayActorError, ReplicaUnavailableError):
                self._asked_again += 1
                await asyncio.sleep(PAUSE_SECONDS)
            except BackPressureError:
                raise Overloaded("every replica is full") from None
            else:
                return answer
        raise WorkerDied(f"{ATTEMPTS} replicas died under this request")


def problem(request: Request, error: ServiceError) -> Response:
    """The front's own refusal, in the service's form."""
    request_id = accepted_id(request.headers.get(REQUEST_ID))
    body = problem_of(error, request_id).model_dump_json()
    return Response(body, error.status, {**error.headers, REQUEST_ID: request_id}, PROBLEM_JSON)


def application(arguments: dict[str, str]) -> serve.Application:
    """What `serve run` and `serve deploy` start; `replicas=N` holds their number fixed instead of scaling it.

    Settings are read here and go to every replica. A cluster listens beyond loopback, whatever its address here, so
    that without keys this raises `ValueError`, unless told so in words. Each replica would answer `/metrics` for
    itself alone, so none does: Ray's own metrics count the requests.
    """
    settings = read_settings(host="0.0.0.0", metrics=False)  # noqa: S104 - nothing binds it; it asks for keys
    key_file(settings)
    number = {"num_replicas": int(arguments["replicas"])} if "replicas" in arguments else SCALING
    replicas = serve.deployment(Replica, **REPLICA, **number).bind(settings)
    return serve.deployment(Front, **FRONT).bind(replicas, settings)
