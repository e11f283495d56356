"""A result of the probe against the tables of the contract: read strictly, and told."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from interlock.contract.observations import Known, ProbeResult, answer, parse
from interlock.contract.switches import SWITCHES
from interlock.contract.table import rules
from interlock.errors import ProbeResultError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read(path: Path) -> ProbeResult:
    """The one result of a file that the probe wrote.  Raises `ProbeResultError` with the place."""
    known = Known(
        rules=frozenset(each.id for each in rules()),
        switches=MappingProxyType({each.name: each.values for each in SWITCHES}),
    )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        span = Span(start=error.start, end=error.end, file=str(path))
        raise ProbeResultError("no UTF-8", span=span) from None
    results = parse(text, file=str(path), known=known)
    if len(results) != 1:
        message = f"{len(results)} results where one is expected"
        raise ProbeResultError(message, span=Span(start=0, end=0, file=str(path)))
    return results[0]


def describe(new: ProbeResult, results: Iterable[ProbeResult]) -> str:
    """What a result says, for people: rules by verdict, then the answers of all results together."""
    rules_by_verdict = [
        f"{verdict}: {len(ids)} rules: {' '.join(ids) or 'none'}"
        for verdict, ids in _by_verdict(new).items()
    ]
    answers = [f"{name}: {text}" for name, text in _answers(new, results).items()]
    return "\n".join([str(new), *rules_by_verdict, *answers])


def facts(new: ProbeResult, results: Iterable[ProbeResult]) -> dict[str, object]:
    """The same as one object of JSON."""
    return {
        "machine": str(new),
        **_by_verdict(new),
        "switches": _answers(new, results),
        "disagreements": list(new.disagreements),
    }


def _answers(new: ProbeResult, results: Iterable[ProbeResult]) -> dict[str, str]:
    together = tuple(results)
    return {each.name: _answer(each.name, each.values, new, together) for each in SWITCHES}


def _by_verdict(new: ProbeResult) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"agrees": [], "differs": [], "unknown": []}
    for rule, (agrees, differs, _) in new.rules.items():
        found["differs" if differs else "agrees" if agrees else "unknown"].append(rule)
    return found


def _answer(
    name: str, values: tuple[str, ...], new: ProbeResult, results: Iterable[ProbeResult]
) -> str:
    here = new.switches.get(name)
    if here is None or not here.cases:
        return "unknown"
    together = answer(name, values, results)
    if together:
        return together
    return (
        f"{' or '.join(here.values) or 'a contradiction'} here; together the results leave it open"
    )
