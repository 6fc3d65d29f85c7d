import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.keycommand import run
from service.keys import KeyFile, KeyList, alone_with, make_key, read_keys, write_keys


def test_a_key_is_added_printed_once_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.json"
    assert run(["add", "pacs", "--scopes", "predict", "admin", "--file", str(path)]) == 0
    text = capsys.readouterr().out.strip()
    key = KeyFile(path).find(text)
    assert key
    assert (key.name, sorted(key.scopes)) == ("pacs", ["admin", "predict"])
    assert run(["list", "--file", str(path)]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("pacs\tadmin,predict\t")
    assert text.partition(".")[2] not in listed
    assert run(["revoke", "pacs", "--file", str(path)]) == 0
    assert KeyFile(path).find(text) is None


def test_a_key_is_revoked_through_a_link_in_the_file_that_the_service_reads(tmp_path: Path) -> None:
    file, link = tmp_path / "etc" / "keys.json", tmp_path / "keys.json"
    file.parent.mkdir()
    link.symlink_to(file)
    assert run(["add", "pacs", "--file", str(link)]) == 0
    assert [key.name for key in read_keys(file).keys] == ["pacs"]
    assert run(["revoke", "pacs", "--file", str(link)]) == 0
    assert read_keys(file).keys == ()
    assert link.is_symlink()
    assert [each.name for each in tmp_path.iterdir() if "lock" in each.name] == []


def test_the_settings_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROTRIAGE_KEYS", str(tmp_path / "keys.json"))
    assert run(["add", "pacs"]) == 0
    assert (tmp_path / "keys.json").exists()


def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "keys.json")
    run(["add", "pacs", "--file", path])
    for arguments in (
        ["add", "pacs", "--file", path],
        ["add", "Jane Doe", "--file", path],
        ["revoke", "ris", "--file", path],
        ["list", "--file", path + "x"],
        ["list"],
    ):
        assert run(arguments) == 2, arguments
        told = capsys.readouterr().err
        assert told.startswith("keys: ")
        assert len(told.splitlines()) == 1, told


def test_many_at_once_lose_no_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service", "keys", "add", "--file", str(tmp_path / "keys.json")]
    root = Path(__file__).resolve().parents[2]
    adding = [subprocess.Popen([*command, f"k{n}"], cwd=root, stdout=subprocess.DEVNULL) for n in range(4)]
    assert [each.wait(120) for each in adding] == [0] * 4
    assert {key.name for key in read_keys(tmp_path / "keys.json").keys} == {f"k{n}" for n in range(4)}


def test_a_change_waits_for_the_one_that_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with alone_with(path):
        waiting = threading.Thread(target=run, args=(["add", "second", "--file", str(path)],))
        waiting.start()
        keep_first = make_key("first", frozenset({"predict"}))[1]
        waiting.join(0.2)
        assert waiting.is_alive()
        write_keys(path, KeyList(keys=(keep_first,)))
    waiting.join(20)
    assert [key.name for key in read_keys(path).keys] == ["first", "second"]
