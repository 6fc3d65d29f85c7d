"""An issuer's public keys (JWKS, RFC 7517): fetched off the event loop, kept, asked for again when they rotate."""

import asyncio
import json
import math
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from jwt import PyJWK, PyJWTError

from service.addresses import is_private_way
from service.errors import NotReady

DISCOVERY = "/.well-known/openid-configuration"
PAUSE_SECONDS = 10.0
"""Between two fetches, whoever asks: tokens of invented keys must not become a flood at the issuer's."""
FETCH_SECONDS = 5.0
MOST_BYTES = 1_000_000
ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})


@dataclass(frozen=True)
class IssuerKey:
    """A public key; `algorithm` is the only one that its issuer signs with by it, where it says so."""

    public: Any
    algorithm: str | None


Keys = Mapping[str | None, IssuerKey]


class IssuerKeys:
    """The keys that `fetch` brings, by their ids.

    Older than `fresh_seconds` they are fetched again beside the requests, which go on with what there is; an unknown
    id waits for a fetch, of which there is one at a time and one in `PAUSE_SECONDS`. While the issuer fails, its keys
    count for `stale_seconds` after the last good fetch; from then on nobody can be told from anybody.
    """

    def __init__(
        self,
        fetch: Callable[[], Keys],
        fresh_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._keys: Keys = {}
        self._fetched = self._tried = -math.inf
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> IssuerKey | None:
        """The key of this id; without an id, the only key.

        Raises `NotReady` where no key counts any more, or where one that is unknown here may have come since.
        """
        if self._age() > self._fresh_seconds:
            self._begin_refresh()
        if self._age() > self._stale_seconds or self._choose(key_id) is None:
            await self._refresh()
        key = self._choose(key_id)
        if self._age() > self._stale_seconds or (key is None and self._tried > self._fetched):
            raise NotReady("the token's issuer cannot be reached")
        return key

    def _choose(self, key_id: str | None) -> IssuerKey | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _age(self) -> float:
        return self._clock() - self._fetched

    async def _refresh(self) -> None:
        """Wait for the fetch that is under way, or for a new one where it is time for one."""
        self._begin_refresh()
        if self._refreshing:
            await asyncio.shield(self._refreshing)  # a caller that leaves must not end it for the others

    def _begin_refresh(self) -> None:
        if self._refreshing is None and self._clock() - self._tried >= PAUSE_SECONDS:
            self._tried = self._clock()
            self._refreshing = asyncio.create_task(self._fetch_once())

    async def _fetch_once(self) -> None:
        try:
            async with asyncio.timeout(3 * FETCH_SECONDS):
                self._keys = await asyncio.to_thread(self._fetch)
            self._fetched = self._clock()
        except Exception as error:  # noqa: BLE001 - whatever an issuer sends must not end more than this fetch
            structlog.get_logger().error("issuer-unreachable", cause=type(error).__name__, keys=len(self._keys))
        finally:
            self._refreshing = None


def fetch_keys(issuer: str, jwks_url: str | None) -> Keys:
    """The issuer's usable public keys, from `jwks_url` or where its discovery document says; blocks for seconds.

    Raises `OSError` or `ValueError` where they cannot be had, or are none.
    """
    document = fetch_json(jwks_url or discovered(issuer))
    entries = document.get("keys")
    keys = {entry.get("kid"): key for entry in (entries if isinstance(entries, list) else []) if (key := usable(entry))}
    if not keys:
        raise ValueError("the issuer's JWKS holds no public signing key")
    return keys


def usable(entry: Any) -> IssuerKey | None:
    """A JWKS entry as a key; None where it is symmetric, for encryption, or makes no sense."""
    if not isinstance(entry, dict) or entry.get("kty") not in ASYMMETRIC or entry.get("use", "sig") != "sig":
        return None
    try:
        return IssuerKey(PyJWK(entry).key, entry.get("alg"))
    except (PyJWTError, ValueError, TypeError):
        return None


def discovered(issuer: str) -> str:
    """Where the issuer says its keys are (OpenID Connect Discovery 1.0 §4.3); raises `ValueError`."""
    document = fetch_json(issuer.rstrip("/") + DISCOVERY)
    url = document.get("jwks_uri")
    if document.get("issuer") != issuer or not isinstance(url, str):
        raise ValueError("the discovery document is another issuer's")
    return url


def fetch_json(url: str) -> dict[str, Any]:
    """A JSON object from a URL that nobody can tamper with, without following it elsewhere."""
    if not is_private_way(url):
        raise ValueError("an issuer is asked by https, or on this machine")
    with OPENER.open(url, timeout=FETCH_SECONDS) as answer:
        content = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("the issuer's answer is too long")
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("the issuer's answer is no object")
    return document


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it could lead from https to http."""

    def redirect_request(self, *_: Any) -> None:
        """None makes urllib raise its HTTPError."""


OPENER = urllib.request.build_opener(_NoRedirect)
