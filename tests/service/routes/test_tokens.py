import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from service import issuer as issuer_module
from service.app import create_app
from service.keys import KeyList, make_key, write_keys
from service.routes.access import key_file
from service.settings import Settings
from service.tokens import claim
from tests.issuer import AUDIENCE, Issuer, serving
from tests.pictures import png

Changes = dict[str, Any]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setattr(issuer_module, "PAUSE_SECONDS", 0.0)
    with serving() as issuer:
        yield issuer


def serve(models: Path, issuer: Issuer, **changes: Any) -> TestClient:
    """A client of an app that takes the issuer's tokens."""
    chosen = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, **changes}
    return TestClient(create_app(Settings(models=models, provider="cpu", **chosen)), raise_server_exceptions=False)


def ask(client: TestClient, token: str, path: str = "/predict") -> tuple[int, str]:
    """Status and problem of a request with this token."""
    sent = client.post(path, content=png(1), headers={"Authorization": f"Bearer {token}"})
    return sent.status_code, sent.json().get("type", "").rpartition(":")[2] or "-"


UNAUTHORIZED = (401, "unauthorized")


def test_a_token_does_what_its_scopes_say_and_the_log_names_its_subject(
    models: Path, issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(models, issuer) as client:
        token = issuer.token()
        assert ask(client, token) == (200, "-")
        assert ask(client, token, "/explain") == (403, "forbidden")
        assert ask(client, issuer.token(scope="explain"), "/explain") == (409, "not-explainable")
        assert ask(client, issuer.token(scope=None)) == ask(client, issuer.token(scope=7)) == (403, "forbidden")
        assert ask(client, issuer.token(aud=["other", AUDIENCE], scope=["predict"])) == (200, "-")
        assert client.get("/models").status_code == 401
    log = capsys.readouterr().out
    assert "pacs-1" in log
    assert token not in log


FAULTS: dict[str, Callable[[], Changes]] = {
    "another audience": lambda: {"aud": "billing"},
    "no audience": lambda: {"aud": None},
    "another issuer": lambda: {"iss": "https://elsewhere.example"},
    "no issuer": lambda: {"iss": None},
    "expired": lambda: {"exp": int(time.time()) - 31},
    "never expires": lambda: {"exp": None},
    "not yet valid": lambda: {"nbf": int(time.time()) + 300},
    "issued tomorrow": lambda: {"iat": int(time.time()) + 86_400},
    "no time at all": lambda: {"exp": "tomorrow"},
    "infinite": lambda: {"exp": float("inf")},
    "no caller": lambda: {"sub": None},
    "a caller of two lines": lambda: {"sub": "a\nb"},
    "a caller without end": lambda: {"sub": "a" * 129},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_that_does_not_count_is_refused(models: Path, issuer: Issuer, fault: str) -> None:
    with serve(models, issuer) as client:
        assert ask(client, issuer.token()) == (200, "-")
        assert ask(client, issuer.token(**FAULTS[fault]())) == UNAUTHORIZED


def test_clocks_may_differ_a_little(models: Path, issuer: Issuer) -> None:
    with serve(models, issuer, oidc_clock_skew_seconds=60) as client:
        now = int(time.time())
        assert ask(client, issuer.token(exp=now - 20, nbf=now - 90)) == (200, "-")
        assert ask(client, issuer.token(nbf=now + 20)) == (200, "-")


def test_the_algorithm_is_ours_to_choose_and_not_the_tokens(models: Path, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    pem = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with serve(models, issuer) as client:
        assert ask(client, jwt.encode(claims, "", "none", headers={"kid": "first"})) == UNAUTHORIZED
        assert ask(client, signed_with_text(claims, pem)) == UNAUTHORIZED
        assert ask(client, issuer.token(algorithm="PS256")) == UNAUTHORIZED
        issuer.keys["curve"] = issuer.keys["first"]
        issuer.rotate("curve", curve=True)
        assert ask(client, issuer.token(algorithm="ES256")) == UNAUTHORIZED
    with serve(models, issuer, oidc_algorithms="RS256,ES256") as client:
        assert ask(client, issuer.token(algorithm="ES256")) == (200, "-")


def signed_with_text(claims: Changes, secret: bytes) -> str:
    """An HS256 token whose secret is a public key's text, which PyJWT itself would not make."""
    return jwt.encode(claims, urlsafe_b64encode(secret), "HS256", headers={"kid": "first"})


def test_the_algorithm_that_the_issuer_names_for_a_key_is_the_only_one(models: Path, issuer: Issuer) -> None:
    with serve(models, issuer, oidc_algorithms="RS256,RS512") as client:
        assert ask(client, issuer.token(algorithm="RS512")) == (200, "-")
        only = fetch_entry(issuer) | {"alg": "RS256", "kid": "named"}
        issuer.more = [only]
        issuer.keys["named"] = issuer.keys["first"]
        issuer.answer = lambda path: {"keys": [only], "issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}  # type: ignore[method-assign]  # noqa: ARG005 - every path
        assert ask(client, issuer.token("named", "RS512")) == UNAUTHORIZED
        assert ask(client, issuer.token("named")) == (200, "-")


def fetch_entry(issuer: Issuer) -> dict[str, Any]:
    document = issuer.answer("/jwks")
    assert document
    entry: dict[str, Any] = document["keys"][0]
    return entry


def test_a_signature_by_anybody_else_is_refused(models: Path, issuer: Issuer) -> None:
    stranger = rsa.generate_private_key(65_537, 2048)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    with serve(models, issuer) as client:
        assert ask(client, jwt.encode(claims, stranger, "RS256", headers={"kid": "first"})) == UNAUTHORIZED
        assert ask(client, jwt.encode(claims, stranger, "RS256", headers={"kid": "theirs"})) == UNAUTHORIZED
        head, _, signature = issuer.token().split(".")
        other = issuer.token(sub="admin").split(".")[1]
        assert ask(client, f"{head}.{other}.{signature}") == UNAUTHORIZED


def test_keys_rotate_without_a_restart(models: Path, issuer: Issuer) -> None:
    with serve(models, issuer) as client:
        old = issuer.token()
        assert ask(client, old) == (200, "-")
        issuer.rotate("second")
        assert ask(client, issuer.token()) == (200, "-")
        assert ask(client, old) == UNAUTHORIZED


def test_an_issuer_that_is_away_is_a_503_until_its_keys_are_known_and_then_none(models: Path, issuer: Issuer) -> None:
    issuer.down = True
    with serve(models, issuer) as client:
        assert ask(client, issuer.token()) == (503, "not-ready")
        assert client.get("/readyz").status_code == 200
        issuer.down = False
        assert ask(client, issuer.token()) == (200, "-")
        issuer.down = True
        assert ask(client, issuer.token()) == (200, "-")


def test_keys_and_tokens_count_side_by_side(models: Path, issuer: Issuer, tmp_path: Path) -> None:
    text, key = make_key("ris", frozenset({"predict"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key,)))
    with serve(models, issuer, keys=tmp_path / "keys.json", rate_per_minute=1, rate_burst=1) as client:
        assert ask(client, text) == ask(client, issuer.token(sub="ris")) == (200, "-")  # each has a rate of its own
        assert ask(client, issuer.token(sub="ris"))[0] == 429
        assert ask(client, "0123456789abcdef.x") == UNAUTHORIZED


def test_scopes_may_have_a_prefix_and_lie_deep(models: Path, issuer: Issuer) -> None:
    chosen = {"oidc_scope_claim": "realm_access.roles", "oidc_scope_prefix": "neurotriage:", "oidc_name_claim": "azp"}
    with serve(models, issuer, **chosen) as client:
        roles: Changes = {"realm_access": {"roles": ["neurotriage:predict", "explain", 7]}, "azp": "gateway"}
        assert ask(client, issuer.token(**roles)) == (200, "-")
        assert ask(client, issuer.token(**roles), "/explain")[0] == 403
        assert ask(client, issuer.token()) == UNAUTHORIZED
    assert claim({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert claim({"a": 3}, "a.b") is None


def test_no_text_in_place_of_a_token_is_a_fault_of_ours(models: Path, issuer: Issuer) -> None:
    with serve(models, issuer) as client:
        whole = issuer.token()
        for text in ("a.b.c", "..", ".", "e30.e30.", "x" * 20_000, f"{'e30' * 6000}.e30.x", whole + "x", whole[:-20]):
            assert ask(client, text) == UNAUTHORIZED, text[:40]

        @settings(max_examples=60, deadline=None, database=None)
        @given(st.integers(0, len(whole) - 1), st.characters(min_codepoint=33, max_codepoint=126))
        def damage(place: int, character: str) -> None:
            assert ask(client, whole[:place] + character + whole[place + 1 :])[0] in (200, 401)

        damage()


def test_beyond_loopback_an_issuer_is_enough_and_its_settings_come_together(tmp_path: Path) -> None:
    known: Changes = {"oidc_issuer": "https://issuer.example", "oidc_audience": AUDIENCE}
    assert key_file(Settings(host="0.0.0.0", **known)) is None  # noqa: S104 - that is what is tried
    wrongs: list[Changes] = [
        {"oidc_issuer": "https://issuer.example"},
        known | {"oidc_algorithms": "RS256,HS256"},
        known | {"oidc_algorithms": "none"},
        known | {"oidc_keys_stale_seconds": 1},
        known | {"oidc_issuer": "http://issuer.example"},
        known | {"oidc_issuer": ""},
        known | {"oidc_jwks_url": "http://issuer.example/jwks"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="oidc_"):
            Settings(models=tmp_path, **wrong)
