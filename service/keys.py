"""Access keys: `<id>.<secret>`, of which a file keeps only a salted hash.

A secret is 256 random bits. Slow hashes (scrypt, Argon2) protect what can be guessed, which 256 bits cannot; one
HMAC-SHA256 is enough (NIST SP 800-63B §5.1.2.2 asks for an approved one-way function from 112 bits on) and costs a
request microseconds. The id finds the entry and is no secret; the secret's hash is compared in constant time.
"""

import hashlib
import hmac
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.problem import in_one_line

if sys.platform != "win32":
    import fcntl

Scope = Literal["predict", "explain", "admin"]


class Key(BaseModel):
    """One entry of the file; who holds the file holds no key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Stands in the log; never a person's name.")
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    salt: str = Field(pattern=r"^[0-9a-f]{32}$")
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: datetime

    def opens_with(self, secret: str) -> bool:
        """Whether this is the entry's secret, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(self.hash, digest(self.salt, secret))


class KeyList(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()


def digest(salt: str, secret: str) -> str:
    """The secret's salted hash in hexadecimal."""
    return hmac.new(bytes.fromhex(salt), secret.encode(), hashlib.sha256).hexdigest()


def make_key(name: str, scopes: frozenset[Scope]) -> tuple[str, Key]:
    """A new key's text, which nothing keeps, and its entry; raises `ValueError` on a name or scope without sense."""
    key_id, secret, salt = secrets.token_hex(8), secrets.token_urlsafe(32), secrets.token_hex(16)
    hashed, created = digest(salt, secret), datetime.now(UTC)
    try:
        key = Key(id=key_id, name=name, scopes=scopes, salt=salt, hash=hashed, created=created)
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None
    return f"{key_id}.{secret}", key


def read_keys(path: Path) -> KeyList:
    """The file's keys; raises `OSError`, or `ValueError` where the file is no list of keys."""
    try:
        return KeyList.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is no key file ({error.error_count()} faults)") from None


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Hold the lock beside the file, so that of two that read, change and write it neither loses the other's key.

    Windows has no such lock; there two at once remain the operator's care.
    """
    with path.with_name(f".{path.name}.lock").open("ab") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_keys(path: Path, keys: KeyList) -> None:
    """Replace the file whole or not at all; a new one is readable by its owner alone, an old one stays its readers'."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(keys.model_dump_json(indent=2).encode() + b"\n")
            keep_readers(path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def keep_readers(path: Path, descriptor: int) -> None:
    """Give a file the owner and mode of the one at `path`, if there is one: the service may run as another user.

    Raises `OSError` where only somebody else may.
    """
    if sys.platform != "win32" and path.exists():
        before, now = path.stat(), os.fstat(descriptor)
        if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


Signature = tuple[int, int, int, int]


class KeyFile:
    """The keys that count now: the file is read again whenever it has changed.

    A file that is gone or broken lets nobody in, and the log says so; a revoked key must not live on in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: Signature | None = (0, 0, 0, 0)  # of no file, so that the first request reads
        self._keys: dict[str, Key] = {}

    def find(self, text: str) -> Key | None:
        """The entry that this key opens, if there is one."""
        if (now := self._signature()) != self._read:
            self._keys, self._read = self._entries(), now
        key_id, _, secret = text.partition(".")
        key = self._keys.get(key_id)
        return key if key and key.opens_with(secret) else None

    def _entries(self) -> dict[str, Key]:
        try:
            return {key.id: key for key in read_keys(self._path).keys}
        except (OSError, ValueError) as error:
            structlog.get_logger().error("keys-unreadable", cause=type(error).__name__)
            return {}

    def _signature(self) -> Signature | None:
        """What changes when the file does, or who may read it; None where there is no file."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
