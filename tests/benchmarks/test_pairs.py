from pathlib import Path

from benchmarks.limit import Turns
from benchmarks.pairs import spread
from tests.bundles import NAME
from tests.pictures import png


def test_a_spread_leaves_out_the_quarters_at_both_ends() -> None:
    assert spread([9.0, 1.0, 2.0, 3.0, 4.0]) == "3.00 [2.00, 4.00]"


def test_the_limit_takes_turns_on_its_own_pictures(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        (folder / str(number)).write_bytes(png(number))
    turns = Turns(models / NAME / "1", folder, warm_up_seconds=0.05)
    for question in ("run 2 1 2 0.1", "lone 1 False 0.1", "run 2 1 2 0.1"):
        (found,) = turns.answer(*question.split()).values()
        assert isinstance(found, float)
        assert found > 0
