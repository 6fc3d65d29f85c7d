"""Who may ask: the key that a request carries and what it allows, its client's rate, and whether there is room."""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.addresses import is_loopback
from service.callers import Callers
from service.errors import BadInput, Forbidden, Unauthorized
from service.intake import Intake
from service.keys import KeyFile, Scope, read_keys
from service.rates import Rates
from service.settings import Settings
from service.tokens import tokens_of

HEADER, BEARER = APIKeyHeader(name="X-API-Key", auto_error=False), HTTPBearer(auto_error=False)
HeaderKey = Annotated[str | None, Security(HEADER)]
BearerKey = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


def callers_of(settings: Settings) -> Callers | None:
    """Whose keys and tokens count; None where the service is open. Raises as `key_file` does."""
    keys, tokens = key_file(settings), tokens_of(settings)
    return Callers(keys, tokens) if keys or tokens else None


def key_file(settings: Settings) -> KeyFile | None:
    """The keys that requests may carry; None where there is no file of them.

    Raises `ValueError` where the service would listen beyond loopback with neither keys nor an issuer and nobody has
    said so in words, or where the key file cannot be read.
    """
    if settings.keys is None:
        if not (is_loopback(settings.host) or settings.open_to_all or settings.oidc_issuer):
            raise ValueError(
                f"{settings.host} can be reached from other machines: set NEUROTRIAGE_KEYS to a key file "
                "(python -m service keys add NAME makes one), or NEUROTRIAGE_OPEN_TO_ALL=true"
            )
        return None
    try:
        read_keys(settings.keys)
    except OSError as error:
        raise ValueError(f"the key file {settings.keys} cannot be read: {error.strerror}") from None
    return KeyFile(settings.keys)


def needs(scope: Scope | None = None) -> Any:
    """A route's dependency: a key or token with this scope, or any; raises `Unauthorized` or `Forbidden`."""

    async def check(request: Request, header: HeaderKey, bearer: BearerKey) -> None:
        await allow(request, header, bearer, scope)

    return Depends(check)


async def check_key(request: Request, scope: Scope) -> None:
    """What `needs` does, without FastAPI's solver."""
    await allow(request, await HEADER(request), await BEARER(request), scope)


async def allow(
    request: Request, header: str | None, bearer: HTTPAuthorizationCredentials | None, scope: Scope | None
) -> None:
    """Note the caller's name, where the service is not open to all.

    Raises `Unauthorized` or `Forbidden`, or `NotReady` where that cannot be told now.
    """
    callers: Callers | None = request.app.state.callers
    if callers is None:
        return
    sent = header or (bearer.credentials if bearer else None)
    if not sent:
        raise Unauthorized("send it as X-API-Key, or as Authorization: Bearer")
    caller = await callers.find(sent)
    request.state.noted[caller.kind] = caller.name
    if scope and scope not in caller.scopes:
        raise Forbidden(f"it lacks the scope {scope!r}")


def work(scope: Scope) -> list[Any]:
    """The dependencies of a route that does work: a key with this scope, leave to enter, and a clear question."""
    return [needs(scope), Depends(enter), Depends(refuse_repeated)]


async def refuse_repeated(request: Request) -> None:
    """Raise `BadInput` where a parameter comes twice, of which the last would count in silence."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) < len(names):
        raise BadInput("query: a parameter is given more than once")


async def enter(request: Request) -> AsyncIterator[None]:
    """`entered`, as a dependency."""
    with entered(request):
        yield


@contextmanager
def entered(request: Request) -> Iterator[None]:
    """Count the request's first picture and its visit; raises `RateLimited`, or `NotReady` while draining."""
    rates: Rates | None = request.app.state.rates
    intake: Intake = request.app.state.intake
    if rates:
        rates.admit(client_of(request))
    with intake.visit(client_of(request)) as visit:
        request.state.visit = visit
        yield


def charge_for(request: Request, pictures: int) -> None:
    """Count the pictures of a batch beyond its first."""
    rates: Rates | None = request.app.state.rates
    if rates:
        rates.charge(client_of(request), pictures - 1)


def client_of(request: Request) -> str:
    """Whose rate it is: the key's or token's by its name, else the address's.

    Of IPv6 it is the /64 network, which one machine owns; IPv4 that comes over IPv6 (`::ffff:10.0.0.7`) is IPv4.
    """
    for kind in ("key", "subject"):
        if name := request.state.noted.get(kind):
            return f"{kind} {name}"
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
