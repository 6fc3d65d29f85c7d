"""Who may ask: the key that a request carries, and what it allows."""

import ipaddress
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.errors import Forbidden, Unauthorized
from service.keys import KeyFile, Scope, read_keys
from service.settings import Settings

HeaderKey = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))]
BearerKey = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]


def key_file(settings: Settings) -> KeyFile | None:
    """The keys that requests must carry; None where the service is open.

    Raises `ValueError` where it would listen beyond loopback with no keys and nobody has said so in words, or where
    the key file cannot be read.
    """
    if settings.keys is None:
        if not (is_loopback(settings.host) or settings.open_to_all):
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; a name other than localhost may mean anything."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def needs(scope: Scope | None = None) -> Any:
    """A route's dependency: a key with this scope, or any key; raises `Unauthorized` or `Forbidden`."""

    async def check(request: Request, header: HeaderKey, bearer: BearerKey) -> None:
        keys: KeyFile | None = request.app.state.keys
        if keys is None:
            return
        sent = header or (bearer.credentials if bearer else None)
        if not sent:
            raise Unauthorized("send it as X-API-Key, or as Authorization: Bearer")
        key = keys.find(sent)
        if key is None:
            raise Unauthorized("this key does not count here")
        request.state.noted["key"] = key.name
        if scope and scope not in key.scopes:
            raise Forbidden(f"it lacks the scope {scope!r}")

    return Depends(check)
