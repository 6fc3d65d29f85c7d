"""Who may ask: by a key, by an issuer's token, or by either."""

from dataclasses import dataclass
from typing import Literal

from service.errors import Unauthorized
from service.keys import KeyFile
from service.tokens import Tokens


@dataclass(frozen=True)
class Caller:
    """Somebody who may ask; `name` stands in the log as the `kind` of proof that gave it."""

    kind: Literal["key", "subject"]
    name: str
    scopes: frozenset[str]


class Callers:
    """Tells a token, which has three parts, from a key, which has two."""

    def __init__(self, keys: KeyFile | None, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens

    async def find(self, text: str) -> Caller:
        """Who sent this; raises `Unauthorized`, or `NotReady` where that cannot be told now."""
        if self._tokens and (self._keys is None or text.count(".") == 2):
            name, scopes = await self._tokens.find(text)
            return Caller("subject", name, scopes)
        key = self._keys.find(text) if self._keys else None
        if key is None:
            raise Unauthorized("this key does not count here")
        return Caller("key", key.name, frozenset(key.scopes))
