import json
import logging

import pytest
import structlog

from service.logs import accepted_id, configure


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
