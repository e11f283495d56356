"""Timing: contestants take turns, the first rounds are not counted, the median is."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class PeerMissingError(Exception):
    """A peer is not installed; the text says which and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a result: a contestant's median, and its ratio to the row that counts as 1."""

    what: str
    nanoseconds: float
    ratio: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One benchmark's result."""

    title: str
    base: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def time_ns(function: Callable[[], object]) -> float:
    """One execution's wall time."""
    start = time.perf_counter_ns()
    function()
    return float(time.perf_counter_ns() - start)


def medians(
    contestants: Mapping[str, Callable[[], float]], *, rounds: int, warm_up: int = 2
) -> dict[str, float]:
    """The median of what each contestant measures, in rounds in which each has its turn."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + warm_up):
        for name, measure in contestants.items():
            value = measure()
            if number >= warm_up:
                samples[name].append(value)
    return {name: statistics.median(values) for name, values in samples.items()}


def table(
    title: str, base: str, values: Mapping[str, float], *, remarks: tuple[str, ...] = ()
) -> Table:
    """Rows with ratios to `base`, in the given order."""
    rows = tuple(
        Row(what=name, nanoseconds=value, ratio=value / values[base])
        for name, value in values.items()
    )
    return Table(title=title, base=base, rows=rows, remarks=remarks)


def show_ns(nanoseconds: float) -> str:
    """A time with the unit that gives it a readable size."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.1f} ns"
