"""`python -m service keys add|list|revoke`: the key file, by hand."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from service.keys import KeyList, Scope, alone_with, make_key, read_keys, write_keys
from service.settings import read_settings

Arguments = argparse.Namespace


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments ask on `--file`, else on the settings' key file; the exit status."""
    given = parser().parse_args(arguments)
    try:
        path: Path | None = given.file or read_settings().keys
        if path is None:
            raise ValueError("name the key file: --file, or NEUROTRIAGE_KEYS")
        file = path.resolve()  # a link stays one: the service may read the file behind it by another name
        {"add": add, "list": show, "revoke": revoke}[given.command](file, given)
    except (OSError, ValueError) as error:
        print(f"keys: {error}", file=sys.stderr)  # noqa: T201 - a command line answers in words
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    top = argparse.ArgumentParser(prog="python -m service keys", description="Add, list and revoke access keys.")
    commands = top.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="make a key and print it, once")
    adding.add_argument("name", help="stands in the log: letters, digits, . _ -; a machine's name, not a person's")
    adding.add_argument("--scopes", nargs="+", choices=get_args(Scope), default=["predict", "explain"])
    listing = commands.add_parser("list", help="names, scopes and dates")
    revoking = commands.add_parser("revoke", help="take a key away by its name")
    revoking.add_argument("name")
    for command in (adding, listing, revoking):
        command.add_argument("--file", type=Path, help="the key file; else NEUROTRIAGE_KEYS")
    return top


def add(path: Path, given: Arguments) -> None:
    """Make a key; its text is printed here and kept nowhere."""
    text, key = make_key(given.name, frozenset(given.scopes))
    with alone_with(path):
        keys = read_keys(path).keys if path.exists() else ()
        if any(each.name == given.name for each in keys):
            raise ValueError(f"there is a key named {given.name!r} already; revoke it first")
        write_keys(path, KeyList(keys=(*keys, key)))
    print(text)  # noqa: T201 - the only time that anybody sees it


def show(path: Path, _: Arguments) -> None:
    """A line a key, without anything of the key."""
    for key in read_keys(path).keys:
        print(key.name, ",".join(sorted(key.scopes)), f"{key.created:%Y-%m-%d}", sep="\t")  # noqa: T201 - the answer


def revoke(path: Path, given: Arguments) -> None:
    """Take the key out of the file; a running service refuses it from its next request on."""
    with alone_with(path):
        keys = read_keys(path).keys
        left = tuple(key for key in keys if key.name != given.name)
        if len(left) == len(keys):
            raise ValueError(f"there is no key named {given.name!r}")
        write_keys(path, KeyList(keys=left))
