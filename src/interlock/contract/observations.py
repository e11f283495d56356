"""What the probe has seen on real Macs: kept as the lines of JSON that it writes, and read before the rules are told.

`interlock contract import` adds a result; nothing else writes the file.  None has been added yet: nobody has run the probe on a Mac.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from interlock import limits
from interlock.errors import LimitExceededError, ProbeResultError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

KEPT: Final = Path(__file__).with_name("observations.jsonl")
FORMAT: Final = 1
PROCESSES: Final = ("arm64", "x86_64", "rosetta")
_VERDICTS: Final = ("agrees", "differs", "unknown")
_WORD: Final = re.compile(r"[\w.=-]{1,64}")
_TEXT_CHARACTERS_MAX: Final = 1000
_HEADER: Final = ("macos", "build", "chip", "process", "date", "scenarios", "note")
_CASE: Final = ("scenario", "profile", "rules", "verdict")
_DIFFERENCE: Final = (*_CASE, "step", "expected", "rule", "seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A scenario that came to something else; `rule` is the one behind the expectation, empty if none is."""

    scenario: str
    profile: str
    rules: tuple[str, ...]
    step: str
    expected: str
    rule: str
    seen: str

    @property
    def concerns(self) -> tuple[str, ...]:
        """The rules that it speaks against."""
        return (self.rule,) if self.rule else self.rules

    def __str__(self) -> str:
        """`C8 unlisted-callback (macos-arm64-allowlist): main callback other: expected kill SIGTRAP, seen ok`."""
        place = f"{self.scenario} ({self.profile}): {self.step}"
        return f"{' '.join(self.concerns)} {place}: expected {self.expected}, seen {self.seen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchAnswer:
    """The values of a switch that fit what was seen, and how many cases asked.  No value: the cases contradict each other."""

    values: tuple[str, ...]
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the probe saw on one machine: counts for each rule, answers to switches, and every difference."""

    macos: str
    build: str
    chip: str
    process: str
    date: str
    scenarios: str
    note: str
    cases: int
    rules: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: MappingProxyType({}))
    switches: Mapping[str, SwitchAnswer] = field(default_factory=lambda: MappingProxyType({}))
    differences: tuple[Difference, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What makes two results one machine's: the later one replaces the earlier."""
        return self.macos, self.build, self.chip, self.process, self.note

    @property
    def disagreements(self) -> tuple[str, ...]:
        """All that the contract cannot explain: differences, and switches that no value fits."""
        unanswered = [
            name for name, each in self.switches.items() if each.cases and not each.values
        ]
        return (
            *(str(each) for each in self.differences),
            *(f"{name}: no value fits every case that asked" for name in unanswered),
        )

    def __str__(self) -> str:
        """`macOS 26.1 (25B78), Apple M4, arm64, 2026-12-01`."""
        note = f", {self.note}" if self.note else ""
        return f"macOS {self.macos} ({self.build}), {self.chip}, {self.process}, {self.date}{note}"

    def lines(self) -> Iterator[str]:
        """The result without the cases that agree or are unknown, which the rules count."""
        header = {name: getattr(self, name) for name in _HEADER}
        yield json.dumps({"probe": FORMAT, **header})
        for difference in self.differences:
            named = {name: getattr(difference, name, "differs") for name in _DIFFERENCE}
            yield json.dumps({**named, "rules": list(difference.rules)})
        for rule, counts in self.rules.items():
            yield json.dumps({"rule": rule, **dict(zip(_VERDICTS, counts, strict=True))})
        for switch, each in self.switches.items():
            yield json.dumps({"switch": switch, "values": list(each.values), "cases": each.cases})
        yield json.dumps({"end": self.cases})


# ---- Reading -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The rules that there are, and the switches with their values."""

    rules: frozenset[str]
    switches: Mapping[str, tuple[str, ...]]


def parse(text: str, *, file: str = "", known: Known | None = None) -> tuple[ProbeResult, ...]:
    """The results of a file: with `known` as the probe wrote it, every case and name checked; otherwise as they are kept.

    Raises `ProbeResultError` with the place, and `LimitExceededError`.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.PROBE_RESULT_BYTES_MAX:
        raise LimitExceededError(
            limit="PROBE_RESULT_BYTES_MAX", value=size, maximum=limits.PROBE_RESULT_BYTES_MAX
        )
    results: list[ProbeResult] = []
    reader: _Reader | None = None
    line = _Line(number=1, file=file, values={})
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _Line.of(raw, number=number, file=file)
        if "probe" in line.values:
            if reader is not None:
                raise line.fail("a result without its end before this one")
            reader = _Reader(line, known)
        elif reader is None:
            raise line.fail("a line before the header of a result")
        elif reader.take(line):
            results.append(reader.finish(line))
            reader = None
    if reader is not None:
        raise line.fail("the result ends too early: was the probe interrupted?")
    return tuple(results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One object of JSON."""

    values: Mapping[str, Any]
    number: int
    file: str

    @classmethod
    def of(cls, text: str, *, number: int, file: str) -> _Line:
        empty = cls(values={}, number=number, file=file)
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise empty.fail("no line of JSON") from None
        if not isinstance(values, dict):
            raise empty.fail("no object")
        return cls(values=values, number=number, file=file)

    def fail(self, message: str) -> ProbeResultError:
        span = Span(start=0, end=0, line=self.number, column=0, file=self.file)
        return ProbeResultError(message, span=span)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if (
            not isinstance(value, str)
            or len(value) > _TEXT_CHARACTERS_MAX
            or not value.isprintable()
        ):
            raise self.fail(f"{name} is no text")
        return value

    def count(self, name: str) -> int:
        value = self.values.get(name)
        if type(value) is not int or not 0 <= value <= limits.PROBE_RESULT_BYTES_MAX:
            raise self.fail(f"{name} is no count")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name)
        if not isinstance(value, list) or not all(
            isinstance(each, str) and _WORD.fullmatch(each) for each in value
        ):
            raise self.fail(f"{name} is no list of words")
        return tuple(value)


class _Reader:
    """A result whose lines are still being read."""

    def __init__(self, header: _Line, known: Known | None) -> None:
        self._known = known
        if header.values["probe"] != FORMAT:
            raise header.fail(f"written by another version of the probe: expected {FORMAT}")
        self._header = {name: header.text(name) for name in _HEADER}
        for name, shape in (("macos", r"\d+(\.\d+)*"), ("date", r"\d{4}-\d\d-\d\d")):
            if not re.fullmatch(shape, self._header[name]):
                raise header.fail(f"{self._header[name]!r} is no {name}")
        if self._header["process"] not in PROCESSES:
            name = self._header["process"]
            raise header.fail(f"no Mac has a process {name!r}: expected {', '.join(PROCESSES)}")
        self._cases: list[tuple[str, str, str, tuple[str, ...]]] = []
        self._rules: dict[str, tuple[int, int, int]] = {}
        self._switches: dict[str, SwitchAnswer] = {}
        self._differences: list[Difference] = []

    def take(self, line: _Line) -> bool:
        """Read a line; True if it is the result's end."""
        if "scenario" in line.values:
            self._take_case(line)
        elif "rule" in line.values:
            self._take_rule(line)
        elif "switch" in line.values:
            self._take_switch(line)
        elif "question" not in line.values and "end" not in line.values:
            raise line.fail("no line that the probe writes")
        return "end" in line.values

    def _take_case(self, line: _Line) -> None:
        verdict = line.text("verdict")
        if verdict not in _VERDICTS:
            raise line.fail(f"{verdict!r} is no verdict: expected {', '.join(_VERDICTS)}")
        case = (line.text("scenario"), line.text("profile"), verdict, line.words("rules"))
        if any(each[:2] == case[:2] for each in self._cases):
            raise line.fail(f"{case[0]} is there twice for {case[1]}")
        self._cases.append(case)
        if verdict == "differs":
            texts = {
                name: line.text(name) for name in _DIFFERENCE if name not in {"rules", "verdict"}
            }
            self._differences.append(Difference(**texts, rules=case[3]))

    def _take_rule(self, line: _Line) -> None:
        rule = line.text("rule")
        if self._known is not None and rule not in self._known.rules:
            raise line.fail(f"there is no rule {rule!r}")
        agrees, differs, unknown = (line.count(name) for name in _VERDICTS)
        _put(self._rules, line, "rule", (agrees, differs, unknown))

    def _take_switch(self, line: _Line) -> None:
        switch, values = line.text("switch"), line.words("values")
        if self._known is not None:
            possible = self._known.switches.get(switch)
            if possible is None:
                raise line.fail(f"there is no switch {switch!r}")
            for value in values:
                if value not in possible:
                    raise line.fail(f"{value!r} is no value of {switch}: {', '.join(possible)}")
        made = SwitchAnswer(values=values, cases=line.count("cases"))
        _put(self._switches, line, "switch", made)

    def finish(self, line: _Line) -> ProbeResult:
        """The result, checked as a whole: the counts of the rules are those of the cases."""
        cases = line.count("end")
        is_whole = self._known is not None
        if is_whole and len(self._cases) != cases:
            raise line.fail(f"there are {len(self._cases)} cases, and the end says {cases}")
        if self._known is not None:
            missing = sorted(self._known.rules - set(self._rules))
            if missing:
                raise line.fail(f"nothing is said about {', '.join(missing)}")
        counts: Counter[tuple[str, str]] = Counter()
        for _, _, verdict, rules in self._cases:
            counts.update((rule, verdict) for rule in rules if verdict != "differs")
        for each in self._differences:
            counts.update((rule, "differs") for rule in each.concerns)
        for rule, stated in self._rules.items():
            seen = tuple(counts[rule, verdict] for verdict in _VERDICTS)
            if seen != stated and (is_whole or seen[1] != stated[1]):
                raise line.fail(f"the counts of rule {rule} are not those of its cases")
        return ProbeResult(
            **self._header,
            cases=cases,
            rules=MappingProxyType(self._rules),
            switches=MappingProxyType(self._switches),
            differences=tuple(self._differences),
        )


def _put(table: dict[str, Any], line: _Line, name: str, value: object) -> None:
    key = line.text(name)
    if key in table:
        raise line.fail(f"{name} {key} is there twice")
    table[key] = value


# ---- What is known -------------------------------------------------------------------------------------------------------------


@cache
def kept() -> tuple[ProbeResult, ...]:
    """Every result that was imported."""
    return parse(KEPT.read_text(encoding="utf-8"), file=str(KEPT))


def evidence(rule: str, results: Iterable[ProbeResult]) -> tuple[str, ...]:
    """What the results say about a rule, a sentence each; nothing where no scenario of a machine could ask."""
    found = []
    for each in results:
        agrees, differs, _ = each.rules.get(rule, (0, 0, 0))
        if differs:
            shown = "; ".join(str(one) for one in each.differences if rule in one.concerns)
            found.append(f"{each}: DIFFERS in {differs} of {agrees + differs} cases: {shown}")
        elif agrees:
            found.append(f"{each}: agrees, cases: {agrees}")
    return tuple(found)


def answer(switch: str, values: tuple[str, ...], results: Iterable[ProbeResult]) -> str:
    """The one value of a switch that fits all results that asked; empty if none or several do."""
    asked = [
        set(each.switches[switch].values)
        for each in results
        if switch in each.switches and each.switches[switch].cases
    ]
    fitting = [value for value in values if all(value in each for each in asked)]
    return fitting[0] if asked and len(fitting) == 1 else ""


def merged(results: Iterable[ProbeResult], new: ProbeResult) -> tuple[ProbeResult, ...]:
    """The results with a new one in the place of the same machine's."""
    rest = [each for each in results if each.identity != new.identity]
    return tuple(sorted([*rest, new], key=lambda each: each.identity))


def text_of(results: Iterable[ProbeResult]) -> str:
    """A file of results, which `parse` reads."""
    return "".join(f"{line}\n" for each in results for line in each.lines())
