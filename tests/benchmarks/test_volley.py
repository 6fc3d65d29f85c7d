import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from benchmarks.volley import Shot, fire
from tests.benchmarks.answering import answering


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write an answer, or Nagle's algorithm holds the second one back

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.005 if self.path == "/slow" else 0)
        self.send_response(200 if body.startswith(b"good") else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with answering(Echo) as port:
        yield f"http://127.0.0.1:{port}/predict"


@pytest.mark.parametrize("rate", [None, 200.0])
def test_every_answer_is_counted_by_its_status(url: str, rate: float | None) -> None:
    volley = fire(Shot(url, [b"good", b"bad"], connections=4, seconds=0.5, rate=rate))
    assert set(volley.statuses) == {"200", "503"}
    assert len(volley.latencies) == volley.statuses["200"]
    assert volley.rate > 0
    assert "answers/s" in volley.told()


def test_whatever_falls_due_is_sent_however_late(url: str) -> None:
    slow = url.replace("/predict", "/slow")  # takes 5 ms, so that one connection is done with half in time
    volley = fire(Shot(slow, [b"good"], connections=1, seconds=0.5, rate=400.0))
    assert sum(volley.statuses.values()) > 140
    assert volley.wall > 0.7


def test_it_sends_to_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        fire(Shot("http://192.0.2.1/predict", [b"x"]))
