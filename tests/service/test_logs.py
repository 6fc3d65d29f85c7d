import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from service.logs import Lines, accepted_id, configure


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("sent", ["abc-123", "A.b_c", "x" * 64])
def test_a_harmless_request_id_is_kept(sent: str) -> None:
    assert accepted_id(sent) == sent


@pytest.mark.parametrize("sent", [None, "", "x" * 65, 'a"b', "a b", "a\nb", "ü"])
def test_any_other_request_id_is_replaced(sent: str | None) -> None:
    assert accepted_id(sent) not in (sent, accepted_id(sent))


def test_lines_are_json_and_exceptions_come_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    pixels = "the-patients-pixels"
    try:
        raise RuntimeError(f"{len(pixels)} bytes")
    except RuntimeError:
        structlog.get_logger().exception("unhandled", request_id="r1")
    logging.getLogger("uvicorn").warning("from the library")
    structlog.get_logger().debug("not shown")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (ours["event"], ours["request_id"], ours["exception"][0]["exc_type"]) == ("unhandled", "r1", "RuntimeError")
    assert pixels not in json.dumps(ours)
    assert (theirs["event"], theirs["level"]) == ("from the library", "warning")


def test_a_broken_form_is_its_answers_business_and_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    with pytest.raises(MultipartParseError):
        MultipartParser("b").write(b"--b\r\nno header\r\n\r\n")
    assert capsys.readouterr().out == ""


def test_a_line_that_cannot_be_written_is_counted_and_raises_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        lines = Lines(full)
        for _ in range(10_000):
            lines.write("a line\n")
            lines.flush()
        assert lines.lost >= 10_000
        lines.close()
