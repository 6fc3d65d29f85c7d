from pathlib import Path

import pytest

from service.settings import Settings, read_settings


def test_variables_set_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROTRIAGE_MAX_QUEUE_SIZE", "7")
    monkeypatch.setenv("NEUROTRIAGE_PROVIDER", "cpu")
    settings = read_settings()
    assert (settings.max_queue_size, settings.provider) == (7, "cpu")


def test_a_dotenv_file_sets_the_settings_and_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("NEUROTRIAGE_PORT=9000\nNEUROTRIAGE_MIN_SIDE=40\n")
    monkeypatch.setenv("NEUROTRIAGE_PORT", "9001")
    settings = read_settings()
    assert (settings.port, settings.min_side) == (9001, 40)


def test_arguments_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROTRIAGE_PORT", "9001")
    assert read_settings(port=9002).port == 9002


def test_unknown_variables_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROTRIAGE_MAX_QUEUE", "7")
    monkeypatch.setenv("NEUROTRIAGE_GPU", "1")
    with pytest.raises(ValueError, match="NEUROTRIAGE_GPU, NEUROTRIAGE_MAX_QUEUE"):
        read_settings()


def test_an_unknown_name_in_dotenv_is_refused() -> None:
    Path(".env").write_text("NEUROTRIAGE_MAX_QUEUE=7\n")
    with pytest.raises(ValueError, match="NEUROTRIAGE_MAX_QUEUE"):
        read_settings()


def test_another_programs_names_in_dotenv_are_none_of_ours() -> None:
    Path(".env").write_text("COMPOSE_PROJECT_NAME=triage\n")
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROVIDER", "tpu"), ("MAX_PIXELS", "100000000"), ("MAX_QUEUE_SIZE", "0"), ("PORT", "70000"), ("LANES", "two")],
)
def test_values_without_sense_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"NEUROTRIAGE_{name}", value)
    with pytest.raises(ValueError, match=rf"^{name.lower()}: Input should be [^\n]+$"):
        read_settings()


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_limits_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROTRIAGE_MAX_BYTES_IN_FLIGHT", "1000")
    with pytest.raises(ValueError, match="max_bytes_in_flight"):
        read_settings()
    monkeypatch.delenv("NEUROTRIAGE_MAX_BYTES_IN_FLIGHT")
    monkeypatch.setenv("NEUROTRIAGE_MAX_BYTES_PER_CLIENT", "1000")
    with pytest.raises(ValueError, match="max_bytes_per_client"):
        read_settings()
    monkeypatch.delenv("NEUROTRIAGE_MAX_BYTES_PER_CLIENT")
    monkeypatch.setenv("NEUROTRIAGE_DRAIN_NOTICE_SECONDS", "20")
    with pytest.raises(ValueError, match="drain_notice_seconds"):
        read_settings()


def test_one_client_may_hold_half_the_room_or_the_largest_body() -> None:
    assert Settings().bytes_per_client == 200_000_000
    assert Settings(max_bytes_in_flight=300_000_000).bytes_per_client == 200_000_000
    assert Settings(max_bytes_in_flight=900_000_000).bytes_per_client == 450_000_000
    assert Settings(max_bytes_per_client=250_000_000).bytes_per_client == 250_000_000
