"""Tokens (JWT, RFC 7519) of one issuer: who sent them and what they allow."""

import re
from collections.abc import Mapping
from typing import Any

import jwt

from service.errors import Unauthorized
from service.issuer import IssuerKey, IssuerKeys, fetch_keys
from service.settings import Settings

LONGEST = 16_384
"""Characters of a token."""
NAME = re.compile(r"[!-~]{1,128}")
"""What may name a caller in the log."""

FAULTS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token does not count yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is another issuer's",
    jwt.MissingRequiredClaimError: "the token lacks a claim that is needed",
    jwt.InvalidAlgorithmError: "the token is signed by an algorithm that does not count here",
}


class Tokens:
    """Checks signature, issuer, audience and times; algorithms are the settings', never the token's own choice."""

    def __init__(self, keys: IssuerKeys, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings
        self._algorithms = settings.oidc_algorithms.split(",")
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})

    async def find(self, token: str) -> tuple[str, frozenset[str]]:
        """The name and the scopes of who sent the token.

        Raises `Unauthorized`, or `NotReady` where the issuer's keys cannot be had.
        """
        header = _header(token)
        key = await self._keys.find(header.get("kid"))
        if key is None:
            raise Unauthorized("the token's key is none that its issuer publishes")
        claims = self._claims(token, key)
        return self._name(claims), self._scopes(claims)

    def _claims(self, token: str, key: IssuerKey) -> Mapping[str, Any]:
        settings = self._settings
        try:
            return self._jwt.decode(
                token,
                key.public,
                algorithms=[each for each in self._algorithms if key.algorithm in (None, each)],
                audience=settings.oidc_audience,
                issuer=settings.oidc_issuer,
                leeway=settings.oidc_clock_skew_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except Exception as error:  # noqa: BLE001 - PyJWT raises nearly every kind of exception on senseless claims
            raise Unauthorized(FAULTS.get(type(error), "the token makes no sense, or its signature is wrong")) from None

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claim(claims, self._settings.oidc_name_claim)
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise Unauthorized("the token does not name its caller")
        return name

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        given = claim(claims, self._settings.oidc_scope_claim)
        words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        prefix = self._settings.oidc_scope_prefix or ""
        return frozenset(
            word.removeprefix(prefix) for word in words if isinstance(word, str) and word.startswith(prefix)
        )


def tokens_of(settings: Settings) -> Tokens | None:
    """The check of tokens that the settings ask for; None where they name no issuer."""
    issuer = settings.oidc_issuer
    if issuer is None:
        return None
    keys = IssuerKeys(
        lambda: fetch_keys(issuer, settings.oidc_jwks_url),
        settings.oidc_keys_fresh_seconds,
        settings.oidc_keys_stale_seconds,
    )
    return Tokens(keys, settings)


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path such as `realm_access.roles`; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _header(token: str) -> dict[str, Any]:
    """The token's header, which is not to be believed; raises `Unauthorized`."""
    try:
        if len(token) > LONGEST:
            raise ValueError
        return jwt.get_unverified_header(token)
    except Exception:  # noqa: BLE001 - as above
        raise Unauthorized("the token makes no sense") from None
