"""The text of scenarios: one line is one header, step or outcome; errors say where."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from interlock import limits
from interlock.contract import table
from interlock.contract.entitlements import SHORT_NAMES
from interlock.contract.outcome import OutcomeKind
from interlock.contract.profile import MacosVersion, profiles
from interlock.contract.scenario import (
    ANY_NAME,
    GROUPS,
    Expectation,
    ExpectedStep,
    ImageText,
    Scenario,
)
from interlock.contract.scenario_line import NAME, Line
from interlock.contract.step_parser import parse_step
from interlock.contract.switches import switch_settings
from interlock.errors import LimitExceededError
from interlock.source import Span

if TYPE_CHECKING:
    from interlock.contract.entitlements import Value
    from interlock.contract.steps import Step

_MESSAGE = re.compile(r'"([^"]*)"')
_HEADERS = frozenset(
    {"about", "rules", "failures", "profiles", "macos", "entitlements", "switch", "image"}
)


def parse_scenarios(text: str, *, file: str = "") -> tuple[Scenario, ...]:
    """Every scenario of a text.  Raises `ScenarioError` with the place, and `LimitExceededError`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.SCENARIO_BYTES_MAX:
        span = Span(start=0, end=size, file=file)
        raise LimitExceededError(
            limit="SCENARIO_BYTES_MAX", value=size, maximum=limits.SCENARIO_BYTES_MAX, span=span
        )
    drafts: list[_Draft] = []
    offset = 0
    for number, raw in enumerate(text.splitlines(keepends=True), start=1):
        line = Line(text=raw.partition("#")[0].rstrip(), number=number, offset=offset, file=file)
        offset += len(raw)
        if not line.text.strip():
            continue
        word, rest = line.split()
        if word == "scenario":
            if not NAME.fullmatch(rest):
                raise line.fail(f"{rest!r} is no name of a scenario", at=rest)
            if any(each.name == rest for each in drafts):
                raise line.fail(f"there are two scenarios {rest}", at=rest)
            drafts.append(_Draft(name=rest, line=line))
        elif not drafts:
            raise line.fail("a line before the first `scenario NAME`")
        else:
            drafts[-1].add(line)
    return tuple(draft.finish() for draft in drafts)


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A scenario whose lines are still being read."""

    name: str
    line: Line
    about: str = ""
    rules: tuple[str, ...] = ()
    failures: tuple[int, ...] = ()
    selectors: tuple[str, ...] = ("all",)
    macos: MacosVersion | None = None
    granted: dict[str, Value] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    is_malformed: bool = False
    switches: dict[str, str] = field(default_factory=dict)
    images: list[ImageText] = field(default_factory=list)
    steps: list[tuple[Step, list[Expectation]]] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """One line after the name."""
        word, rest = line.split()
        if word == ">":
            self._add_expectation(line, rest)
        elif word in _HEADERS:
            if self.steps:
                raise line.fail(f"`{word}` belongs before the first step")
            self._add_header(line, word, rest)
        else:
            if len(self.steps) >= limits.SCENARIO_STEPS_MAX:
                raise LimitExceededError(
                    limit="SCENARIO_STEPS_MAX",
                    value=len(self.steps) + 1,
                    maximum=limits.SCENARIO_STEPS_MAX,
                    span=line.span,
                )
            self.steps.append((parse_step(line), []))

    def finish(self) -> Scenario:
        """The scenario, checked as a whole."""
        for value, message in (
            (self.about, "has no `about`"),
            (self.rules, "names no `rules`"),
            (self.steps, "has no step"),
        ):
            if not value:
                raise self.line.fail(f"scenario {self.name} {message}")
        scenario = Scenario(
            name=self.name,
            about=self.about,
            span=self.line.span,
            rules=self.rules,
            failures=self.failures,
            steps=tuple(
                ExpectedStep(step=step, expectations=tuple(lines)) for step, lines in self.steps
            ),
            selectors=self.selectors,
            macos=self.macos,
            granted=MappingProxyType(dict(self.granted)),
            dropped=tuple(self.dropped),
            has_malformed_entitlements=self.is_malformed,
            switches=MappingProxyType(dict(self.switches)),
            images=tuple(self.images),
        )
        self.line.ask(scenario.profiles)  # macOS may be older than the chip
        return scenario

    def _add_header(self, line: Line, word: str, rest: str) -> None:
        match word:
            case "about":
                self.about = f"{self.about} {rest}".strip()
            case "rules":
                self.rules = tuple(_known_rule(each, line) for each in rest.split())
            case "failures":
                numbers = rest.split()
                self.failures = tuple(line.number_of(each, "failure", digits=3) for each in numbers)
            case "profiles":
                self.selectors = _selectors(rest, line)
            case "macos":
                self.macos = line.ask(lambda: MacosVersion.parse(rest))
            case "entitlements":
                for each in rest.split():
                    self._add_entitlement(line, each)
            case "switch":
                for each in rest.split():
                    name, _, value = each.partition("=")
                    _check_switch(line, name, value)
                    self.switches[name] = value
            case _:
                self.images.append(line.image(rest))

    def _add_entitlement(self, line: Line, word: str) -> None:
        if word == "malformed":
            self.is_malformed = True
            return
        sign = word[0]
        name, _, text = word[1:].partition("=")
        if sign not in "+-" or name not in SHORT_NAMES:
            known = ", ".join(sorted(SHORT_NAMES))
            raise line.fail(f"{word!r}: expected malformed, or + or - and one of {known}", at=word)
        if sign == "-":
            self.dropped.append(SHORT_NAMES[name])
            return
        meant: dict[str, Value] = {"": True, "true": True, "false": False, "jit": ("jit",)}
        self.granted[SHORT_NAMES[name]] = meant.get(text, text)

    def _add_expectation(self, line: Line, rest: str) -> None:
        if not self.steps:
            raise line.fail("an outcome before the first step")
        names, colon, text = rest.partition(":")
        if not colon:
            raise line.fail("an outcome reads `> PROFILES: OUTCOME`")
        self.steps[-1][1].append(_expectation(line, _selectors(names, line), text.strip()))


def _check_switch(line: Line, name: str, value: str) -> None:
    line.ask(lambda: switch_settings({name: value}))


def _known_rule(text: str, line: Line) -> str:
    return line.ask(lambda: table.rule(text)).id


def _selectors(text: str, line: Line) -> tuple[str, ...]:
    found = tuple(text.replace(",", " ").split())
    if not found:
        raise line.fail("no profile is named")
    for name in found:
        probe = Expectation(selectors=(name,), kind=OutcomeKind.OK, span=line.span)
        if not any(probe.selects(each.name) for each in profiles()):
            known = ", ".join([*GROUPS, *(each.name for each in profiles())])
            raise line.fail(f"{name!r} is no profile: expected {known}", at=name)
    return found


def _expectation(line: Line, selectors: tuple[str, ...], text: str) -> Expectation:
    found = _MESSAGE.search(text)
    words = _MESSAGE.sub("", text).split()
    is_possible = words[:1] == ["may"]
    words = words[is_possible:]
    if not words or words[0] not in set(OutcomeKind):
        raise line.fail(f"{text!r} is no outcome: expected {', '.join(OutcomeKind)}", at=text)
    kind = OutcomeKind(words.pop(0))
    name, value, rule_id = ANY_NAME, None, ""
    if kind in {OutcomeKind.ERRNO, OutcomeKind.SIGNAL}:
        if not words:
            raise line.fail(f"{kind.value} of which name?", at=text)
        name = words.pop(0)
    elif words and words[0].isdecimal():
        value = line.number_of(words.pop(0), "value")
    if words:
        rule_id = _known_rule(words.pop(0), line)
    if words:
        raise line.fail(f"{words[0]!r} is too much", at=words[0])
    if kind is OutcomeKind.KILL and not rule_id:
        raise line.fail("a kill names the rule whose message it has", at=text)
    return Expectation(
        selectors=selectors,
        kind=kind,
        span=line.span,
        name=name,
        message=found[1] if found else "",
        rule=rule_id,
        value=value,
        is_possible=is_possible,
    )
