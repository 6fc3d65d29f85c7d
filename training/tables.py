"""Markdown, for everything this package writes for people."""

from collections.abc import Iterable, Sequence

from training.intervals import Interval


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Head and lines, one cell a string."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def bullets(sentences: Iterable[str]) -> str:
    """One line each."""
    return "\n".join(f"* {sentence}" for sentence in sentences)


def section(title: str, text: str, level: int = 2) -> str:
    """A heading and what stands under it."""
    return f"{'#' * level} {title}\n\n{text}"


def number(interval: Interval, digits: int = 4) -> str:
    """A figure and its interval."""
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def listed(folds: Iterable[int]) -> str:
    """Numbers, one after another."""
    return ", ".join(map(str, folds))
