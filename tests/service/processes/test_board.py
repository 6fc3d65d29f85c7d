import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import NoRoom, RateLimited
from service.intake import Intake
from service.processes.board import HELD_BYTES, ROWS, Board

ROOT = Path(__file__).resolve().parents[3]


def boards(places: int = 2) -> list[Board]:
    first = Board.new(places)
    return [first, *(Board(os.dup(first.descriptor), places, place) for place in range(1, places))]


def test_processes_add_up_and_the_dead_are_forgotten() -> None:
    one, other = (board.tally(HELD_BYTES) for board in boards())
    one.own += 5
    other.own += 7
    assert (one.own, other.own, one.whole, other.whole) == (5, 7, 12, 12)


def test_what_a_dead_process_held_is_free() -> None:
    board, other = boards()
    other.tally(3).own = 9
    board.tally(3).own = 4
    board.clear(1)
    assert board.tally(3).whole == 4


def test_beyond_the_last_row_each_counts_for_itself() -> None:
    one, other = (board.tally(ROWS) for board in boards())
    one.own += 5
    assert (one.whole, other.whole) == (5, 0)


def test_bodies_of_all_processes_share_the_room() -> None:
    one, other = (Intake(100, 1, 1, held=board.tally(HELD_BYTES)) for board in boards())
    one.held_bytes += 80
    other.refuse_beyond("", 20)
    with pytest.raises(NoRoom):
        other.refuse_beyond("", 21)


def test_a_clients_rate_holds_over_all_processes() -> None:
    now = [0.0]
    one, other = (board.rates(60, 3, lambda: now[0]) for board in boards())
    for rates in (one, other, one):
        rates.admit("key pacs")
    for rates in (one, other):
        with pytest.raises(RateLimited):
            rates.admit("key pacs")
    other.admit("key another")
    now[0] += 1
    other.admit("key pacs")
    one.charge("key pacs", 10)
    now[0] += 5
    with pytest.raises(RateLimited, match="60"):
        other.admit("key pacs")


def test_many_clients_make_room_and_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.processes.board.SETS", 4)
    turns = itertools.count()
    rates = boards(1)[0].rates(60, 1, lambda: next(turns) * 1e-6)
    for number in range(200):
        rates.admit(f"client {number}")
    with pytest.raises(RateLimited):
        rates.admit("client 199")
    rates.admit("client 0")


DRAW = """
import sys
from service.errors import RateLimited
from service.processes.board import Board
rates = Board(int(sys.argv[1]), 4, int(sys.argv[2])).rates(1, 1000, lambda: 0.0)
drawn = 0
try:
    while True:
        rates.admit("one client")
        drawn += 1
except RateLimited:
    print(drawn)
"""


def test_processes_that_draw_at_once_draw_each_token_once() -> None:
    descriptor = Board.new(4).descriptor
    drawers = [
        subprocess.Popen(
            [sys.executable, "-c", DRAW, str(descriptor), str(place)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
        )
        for place in range(4)
    ]
    assert sum(int(drawer.communicate(timeout=60)[0]) for drawer in drawers) == 1000
