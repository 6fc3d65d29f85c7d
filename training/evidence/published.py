"""The table of the earlier work: what it published beside what came out here, row by row of `published.yaml`."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from service.contract.card import REPORT_FILE
from training.crossvalidate import CROSSVALIDATION
from training.errors import RecipeError
from training.evidence.figures import figure
from training.evidence.kept import Kept
from training.evidence.summary import SUMMARY
from training.tables import bullets, table

PUBLISHED = Path(__file__).parents[1] / "published.yaml"
NOT_YET = "not run yet"
HEAD = ("system", "published", "ours, same protocol", "ours, honest split")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Strict):
    """A run and its figures, by name with the word to show; or the reason why there is none."""

    run: str | None = None
    figures: dict[str, str] = {}
    command: str | None = None
    reason: str | None = None

    def render(self, kept: Kept) -> str:
        """The figures; without them the reason, or that it was not run yet."""
        values = {word: figure(kept, self.run, name) for name, word in self.figures.items()} if self.run else {}
        found = [f"{word} {value}" for word, value in values.items() if value is not None]
        awaited = [NOT_YET] if not found and (self.command or not self.reason) else []
        return "; ".join([*found, *awaited, *([self.reason] if self.reason else [])])


RUNS = "RUNS/"
"""What a command says for the folder of the runs, where it needs another run of the plan."""


class Missing(NamedTuple):
    """A run that nobody made, and what makes it after `python -m training`."""

    run: str
    command: str

    def words(self, data: Path, runs: Path) -> list[str]:
        """The command line's words for pictures in `data` and a run below `runs`."""
        words = [word.replace(RUNS, f"{runs}/") for word in shlex.split(self.command)]
        return [*words, "--data", str(data), "--run", str(runs / self.run)]

    @property
    def needs(self) -> list[str]:
        """The runs that it starts from."""
        return re.findall(rf"\b{RUNS}([\w-]+)", self.command)

    def __str__(self) -> str:
        """The command as a user types it."""
        return f"python -m training {self.command.replace(RUNS, 'runs/')} --data DATA --run runs/{self.run}"


class Row(_Strict):
    """One system of the earlier work."""

    system: str
    published: str
    same: Cell
    honest: Cell


class Study(_Strict):
    """Runs that are shown together, under a title and with what must be known of them."""

    title: str
    runs: tuple[str, ...]
    labels: dict[str, str] = {}
    commands: dict[str, str] = {}
    beside: str | None = None
    words: str = ""


class Made(_Strict):
    """A run and what makes it."""

    run: str
    command: str


class Candidate(_Strict):
    """A recipe that models may come of: what it is, and its run without each of some sources."""

    name: str
    words: str
    without: dict[str, Made]

    @property
    def commands(self) -> dict[str, str]:
        """What makes each of its runs."""
        return {made.run: made.command for made in self.without.values()}


class LeftOut(_Strict):
    """Candidates that are told apart by sources left out whole."""

    title: str
    words: str = ""
    candidates: tuple[Candidate, ...] = ()


class Plan(_Strict):
    """The page's contents: `notes` stand under the table."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    curves: tuple[Study, ...] = ()
    networks: tuple[Study, ...] = ()
    balance: Study
    binary: Study
    crossvalidations: Study
    levers: Study
    theta: Study
    cross: Study
    shortcut: Study
    robustness: Study
    whole_heads: Study
    left_out: LeftOut
    thresholds: Study

    @property
    def shown(self) -> Sequence[Study | Candidate]:
        """Whatever names runs besides the rows."""
        return (*self.curves, *self.networks, self.balance, self.binary, self.crossvalidations, self.levers, self.theta,
                self.cross, self.shortcut, self.robustness, self.whole_heads, self.thresholds,
                *self.left_out.candidates)  # fmt: skip


def read_plan(path: Path = PUBLISHED) -> Plan:
    """What the page is to show; raises `RecipeError` naming what is wrong with the file."""
    try:
        return Plan.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} is no plan of the results: {error}") from None


def comparison(plan: Plan, kept: Kept) -> str:
    """The table in Markdown, and its notes."""
    lines = ([row.system, row.published, row.same.render(kept), row.honest.render(kept)] for row in plan.rows)
    return f"{table(HEAD, lines)}\n\n{bullets(plan.notes)}"


def missing(plan: Plan, kept: Kept) -> Iterator[Missing]:
    """The runs that the plan names and nobody made, each once."""
    named = [(cell.run, cell.command, cell.figures) for cell in _cells(plan.rows) if cell.run and cell.command]
    wanted = {run: command for run, command, figures in named
              if not any(figure(kept, run, name) for name in figures)}  # fmt: skip
    for shown in plan.shown:
        wanted |= {run: command for run, command in shown.commands.items() if not _was_made(run, kept)}
    for run, command in wanted.items():
        yield Missing(run, command)


def _was_made(run: str, kept: Kept) -> bool:
    return any(kept.path(run, file) for file in (SUMMARY, CROSSVALIDATION, REPORT_FILE))


def _cells(rows: Sequence[Row]) -> Iterator[Cell]:
    for row in rows:
        yield from (row.same, row.honest)
