import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from benchmarks import openloop
from benchmarks.openloop import Request, read_line, summary
from tests.benchmarks.answering import answering


class Choosy(BaseHTTPRequestHandler):
    """Answers `right`, refuses `wrong`, hangs up on `gone`, and is alive."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"gone":
            self.close_connection = True
        elif body == b"right":
            self.say(200, {})
        else:
            self.say(503, {"Retry-After": "1"})

    def do_GET(self) -> None:
        self.say(200, {})

    def say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with answering(Choosy) as found:
        yield found


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_every_request_is_accounted_for_by_its_own_outcome(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openloop, "PROGRAM", tmp_path / "open")
    openloop.build()
    for number, body in enumerate((b"right", b"wrong", b"right", b"gone")):
        (tmp_path / str(number)).write_bytes(body)
    words = [tmp_path / "open", "127.0.0.1", port, "/", "text/plain", tmp_path, 4, 200, 1, 7, "/livez", 50]
    lines = subprocess.run([str(word) for word in words], capture_output=True, check=True, text=True).stdout
    requests = [read_line(line) for line in lines.splitlines()]
    found = summary(requests, 1)
    assert found["sent"] == found["right"] + found["refused"] + found["lost"]
    assert found["sent"] > 100
    for share, outcome in ((2, "right"), (4, "refused"), (4, "lost")):
        assert abs(found[outcome] - found["sent"] / share) <= 1
    assert found["refused_without_retry_after"] == found["other"] == 0
    assert sum(not request.picture for request in requests) > 20
    assert all(request.latency >= request.late >= 0 for request in requests)


def request(due: float, status: int, latency: float, *, picture: bool = True, retry_after: bool = False) -> Request:
    return Request(due, status, latency, retry_after, picture, 0.0)


def test_goodput_counts_only_what_was_answered_while_pictures_were_sent() -> None:
    found = summary([request(0, 200, 0.5), request(1, 200, 0.9), request(1.5, 200, 2.0), request(0.1, 503, 0.01)], 2.0)
    assert found["goodput"] == 1.0
    assert (found["right"], found["refused"], found["refused_without_retry_after"]) == (3, 1, 1)


def test_the_most_that_waited_is_counted_over_time() -> None:
    found = summary(
        [request(0, 200, 1.0), request(0.5, 200, 1.0), request(2, 200, 1.0), request(0, 200, 9, picture=False)], 3
    )
    assert found["most_waiting"] == 2
