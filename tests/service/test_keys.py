import os
from pathlib import Path

import pytest

from service.keys import Key, KeyFile, KeyList, Scope, make_key, read_keys, write_keys

PREDICT: frozenset[Scope] = frozenset({"predict"})


def keep(path: Path, *names: str) -> list[str]:
    """Write a file of new keys and return their texts."""
    made = [make_key(name, PREDICT) for name in names]
    write_keys(path, KeyList(keys=tuple(key for _, key in made)))
    return [text for text, _ in made]


def named(key: Key | None) -> str | None:
    return key.name if key else None


def test_a_key_opens_its_own_entry_and_no_other(tmp_path: Path) -> None:
    first, second = keep(tmp_path / "keys", "pacs", "ris")
    file = KeyFile(tmp_path / "keys")
    assert (named(file.find(first)), named(file.find(second))) == ("pacs", "ris")
    (first_id, first_secret), (second_id, _) = first.split("."), second.split(".")
    for wrong in ("", ".", first_id, f"{first_id}.", f"{second_id}.{first_secret}", first[:-1], first + "x", "ü.ü"):
        assert file.find(wrong) is None, wrong


def test_two_keys_of_one_name_share_nothing() -> None:
    (one_text, one), (other_text, other) = make_key("pacs", PREDICT), make_key("pacs", PREDICT)
    assert len({one_text, other_text, one.salt, other.salt, one.hash, other.hash}) == 6
    assert len(one_text.partition(".")[2]) >= 43  # 256 bits in base64


def test_the_file_holds_no_secret_and_is_its_owners_alone(tmp_path: Path) -> None:
    (text,) = keep(tmp_path / "keys", "pacs")
    assert text.partition(".")[2] not in (tmp_path / "keys").read_text()
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_written_again_stays_its_readers(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keep(path, "pacs")
    path.chmod(0o640)
    others = (10001, 10001) if os.geteuid() == 0 else (os.geteuid(), path.stat().st_gid)
    os.chown(path, *others)
    keep(path, "pacs", "ris")
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (*others, 0o640)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "keys", "pacs")
    before = (tmp_path / "keys").read_bytes()

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        keep(tmp_path / "keys", "ris")
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    assert (tmp_path / "keys").read_bytes() == before


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    (old,) = keep(tmp_path / "keys", "old")
    file = KeyFile(tmp_path / "keys")
    assert file.find(old)
    (new,) = keep(tmp_path / "keys", "new")
    assert (named(file.find(old)), named(file.find(new))) == (None, "new")


def test_a_file_that_is_gone_or_broken_lets_nobody_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys"
    (text,) = keep(path, "pacs")
    kept, file = path.read_bytes(), KeyFile(path)
    assert file.find(text)
    path.write_text("{")
    assert file.find(text) is None
    path.unlink()
    assert file.find(text) is None
    assert capsys.readouterr().out.count("keys-unreadable") == 2
    path.write_bytes(kept)
    assert file.find(text)


def test_a_file_counts_again_once_it_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    (text,) = keep(path, "pacs")
    file, written = KeyFile(path), path.stat().st_ctime_ns

    def forbidden(_: Path) -> KeyList:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("service.keys.read_keys", forbidden)
        assert file.find(text) is None
    while path.stat().st_ctime_ns == written:  # its clock ticks in milliseconds
        path.chmod(0o640)
    assert file.find(text)


@pytest.mark.parametrize("content", ["", "[]", '{"keys": [{}]}', '{"key": []}'])
def test_a_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(ValueError, match="is no key file"):
        read_keys(tmp_path / "keys")


@pytest.mark.parametrize(("name", "scopes"), [("Jane Doe", PREDICT), ("", PREDICT), ("a\nb", PREDICT), ("a", set())])
def test_a_name_that_could_forge_a_log_line_and_a_key_for_nothing_are_refused(name: str, scopes: set[Scope]) -> None:
    with pytest.raises(ValueError, match=r"^(name|scopes): .+$"):
        make_key(name, frozenset(scopes))
