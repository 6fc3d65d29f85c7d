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
    assert start(monkeypatch, "--port", "70000") == 2
    assert "port" in capsys.readouterr().err
