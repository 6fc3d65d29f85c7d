"""Headers that drip, or never end; the port's own HTTPS."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from service.__main__ import main
from tests.bundles import write_bundle
from tests.certificates import write_certificate
from tests.e2e.conftest import Server, start
from tests.pictures import png


def answer_to(server: Server, *parts: bytes, pause: float = 0.0) -> bytes:
    """All that comes back for bytes sent in parts; what the server closes its ears to is not sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.settimeout(pause or 60)
        answer = b""
        for part in parts:
            try:
                connection.sendall(part)
                answer += received(connection) if pause else b""
            except OSError:
                break
        connection.settimeout(60)
        return answer + rest(connection)


def received(connection: socket.socket) -> bytes:
    """What comes within the connection's patience."""
    try:
        return connection.recv(65_536)
    except TimeoutError:
        return b""


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    answer = b""
    try:
        while chunk := connection.recv(65_536):
            answer += chunk
    except ConnectionError:
        pass
    return answer


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Server]:
    """A server that waits a second for headers."""
    write_bundle(tmp_path / "models")
    server = start(tmp_path, tmp_path / "models", header_seconds="1")
    yield server
    server.process.kill()
    server.process.wait(20)


HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


def test_headers_that_do_not_come_in_time_cost_their_connection(impatient: Server) -> None:
    for parts in ((), (b"GET /livez",), (HEAD, *[b"X-A: b\r\n"] * 1000)):
        assert answer_to(impatient, *parts, pause=0.05).startswith(b"HTTP/1.1 408"), parts[:2]
    assert httpx2.get(f"{impatient.url}/readyz").status_code == 200


def test_so_do_those_of_a_later_request_on_the_same_connection(impatient: Server) -> None:
    answer = answer_to(impatient, HEAD + b"\r\n", HEAD, *[b"X-A: b\r\n"] * 1000, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


def test_a_body_may_take_longer_than_headers_and_connections_live_on(impatient: Server) -> None:
    content = png(1)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(content)
    size = len(content) // 30 + 1
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    close = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = answer_to(impatient, head, *pieces, close, pause=0.05)
    assert answer.count(b"HTTP/1.1 200") == 2


def test_headers_without_end_are_cut_off(server: Server) -> None:
    answer = answer_to(server, HEAD, *[b"X-A: " + b"a" * 8000 + b"\r\n"] * 1000)
    assert answer.startswith(b"HTTP/1.1 431") or not answer  # a reset may overtake the answer
    assert httpx2.get(f"{server.url}/readyz").status_code == 200


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
CLOSE = b"GET /models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("pieces", [1, 2, 40])
def test_a_request_that_offers_http_2_is_answered_like_any_other(server: Server, chunked: bool, pieces: int) -> None:
    """As `curl --http2` and Java's HttpClient send it: the body is neither lost nor taken for a request."""
    content = png(1)
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(content)
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content) if chunked else content
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\n" + OFFER + framing + b"\r\n" + body
    whole = request + b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n" + request + CLOSE
    size = -(-len(whole) // pieces)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    answer = answer_to(server, *parts, pause=0.01)
    assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1 ") == 4
    assert answer.count(b'"probabilities"') == 2
    assert answer.count(b'"live":true') == 1


def test_a_body_behind_such_an_offer_is_no_request(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Length: %d\r\n\r\n" % len(CLOSE)
    answer = answer_to(server, head, CLOSE, HEAD + b"Connection: close\r\n\r\n", pause=0.05)
    assert answer.startswith(b"HTTP/1.1 415")
    assert b'"models"' not in answer
    assert b'"live":true' in answer


def test_with_a_certificate_it_speaks_https_and_nothing_else(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models")
    cert, key = write_certificate(tmp_path)
    server = start(tmp_path, tmp_path / "models", tls_cert=str(cert), tls_key=str(key))
    assert server.url.startswith("https://")
    with httpx2.Client(base_url=server.url, verify=server.tls or True) as client:
        assert client.post("/predict", content=png(1)).status_code == 200
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://127.0.0.1:{server.port}/livez")
    assert server.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_by_https_a_client_that_stays_silent_costs_its_connection_as_soon(tmp_path: Path, workers: str) -> None:
    write_bundle(tmp_path / "models")
    cert, key = (str(path) for path in write_certificate(tmp_path))
    server = start(tmp_path, tmp_path / "models", tls_cert=cert, tls_key=key, header_seconds="1", workers=workers)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        assert rest(connection) == b""
    assert [line for line in server.lines() if line["level"] != "info"] == []
    assert httpx2.get(f"{server.url}/livez", verify=server.tls or True).status_code == 200
    assert server.stop() == 0


def test_a_port_that_is_taken_stops_the_start_of_https_too(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models")
    cert, key = (str(path) for path in write_certificate(tmp_path))
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(pytest.fail.Exception, match=r"address already in use.*cannot listen"),
    ):
        start(tmp_path, tmp_path / "models", taken.getsockname()[1], tls_cert=cert, tls_key=key)


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", None])
def test_a_certificate_that_cannot_be_used_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    cert, key = write_certificate(tmp_path)
    if content is None:
        cert.unlink()
    else:
        cert.write_text(content)
    monkeypatch.setenv("NEUROTRIAGE_TLS_CERT", str(cert))
    monkeypatch.setenv("NEUROTRIAGE_TLS_KEY", str(key))
    monkeypatch.setattr(sys, "argv", ["service"])
    assert main() == 2
    assert "tls_cert and tls_key cannot be used" in capsys.readouterr().err


def test_a_certificate_without_its_key_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROTRIAGE_TLS_CERT", "cert.pem")
    monkeypatch.setattr(sys, "argv", ["service"])
    assert main() == 2
    assert "belong together" in capsys.readouterr().err
