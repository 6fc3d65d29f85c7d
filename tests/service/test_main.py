import sys

import pytest

from service.__main__ import main


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["service", *arguments])
    return main()


def test_an_unknown_setting_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROTRIAGE_NONSENSE", "1")
    assert start(monkeypatch) == 2
    assert "cannot start: unknown settings: NEUROTRIAGE_NONSENSE" in capsys.readouterr().err


def test_a_setting_without_sense_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROTRIAGE_LANES", "many")
    assert start(monkeypatch, "--port", "70000") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "cannot start: lanes: Input should be a valid integer, unable to parse string as an integer; "
        "port: Input should be less than or equal to 65535"
    )


def test_settings_that_do_not_fit_together_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROTRIAGE_TLS_CERT", "cert.pem")
    assert start(monkeypatch) == 2
    assert capsys.readouterr().err == "cannot start: tls_cert and tls_key belong together\n"
