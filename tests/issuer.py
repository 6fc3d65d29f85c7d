"""A token issuer on this machine: discovery document, JWKS and tokens, with keys that rotate."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "neurotriage"


class Issuer:
    """Publishes the public halves of `keys`; `down` makes it fail, `asked` counts the JWKS sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}
        self.down = False
        self.asked = 0
        self.claimed = url
        self.more: list[Any] = []
        self.rotate("first")

    def rotate(self, key_id: str, *, curve: bool = False) -> None:
        """Forget every key, and sign by a new one."""
        key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65_537, 2048)
        self.keys = {key_id: key}

    def token(self, key_id: str | None = None, algorithm: str = "RS256", **changes: Any) -> str:
        """A token that counts, but for the claims changed; a claim of None is left out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "pacs-1", "exp": now + 300, "iat": now, "scope": "predict"}
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        name = key_id or next(iter(self.keys))
        return jwt.encode(kept, self.keys[name], algorithm, headers={"kid": name})

    def answer(self, path: str) -> dict[str, Any] | None:
        """The document at a path, if there is one."""
        if self.down:
            return None
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claimed, "jwks_uri": f"{self.url}/jwks"}
        if path == "/jwks":
            self.asked += 1
            return {"keys": [*self.more, *(public(key_id, key) for key_id, key in self.keys.items())]}
        return None


def public(key_id: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """The key's public half as JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id}


@contextmanager
def serving() -> Iterator[Issuer]:
    """An issuer at work on a free port."""
    issuers: list[Issuer] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = issuers[0].answer(self.path)
            content = json.dumps(document or {}).encode()
            self.send_response(200 if document else 503)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        issuers.append(Issuer(f"http://127.0.0.1:{server.server_port}"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield issuers[0]
        server.shutdown()
