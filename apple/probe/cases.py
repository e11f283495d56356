"""Scenarios as the probe's C data: the driver's lines, and what the model predicts for each answer to the questions they touch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING, Final

from apple.probe import wire
from interlock.contract import (
    QUESTIONS,
    SWITCHES,
    ModelMachine,
    OutcomeKind,
    Profile,
    Scenario,
    play,
    rules,
)
from interlock.contract.entitlements import short_name
from interlock.contract.process import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from interlock.contract import Outcome, Report, StepResult, Switch
    from interlock.contract.profile import MacosVersion

_FIRST_WITH_ALL_FUNCTIONS: Final = 1201
_DIGEST_DIGITS: Final = 16
_DEADLOCK_MS: Final = 500  # scenarios that would wait for ever are few, and known
PREDICTIONS_MAX: Final = 16  # as in runner.h
# What the probe can say about a question beyond the answers of its switch.
_REMARKS: Final = {
    1: "; sign with IDENTITY set to a Developer ID, and again with an entitlement of the App Sandbox, to ask about those",
    5: "; whether there is a query no program can find out",
    9: "; needs Apple's linker: link driver objects with -Wl,-no_data_const; here lists in other sections are tried (C10)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario under one profile, and the driver that plays it."""

    scenario: Scenario
    profile: Profile
    program: str
    refusal: str


def refusal(scenario: Scenario) -> str:
    """Why no program can try a scenario on any machine; empty if one can."""
    for image in scenario.images:
        if "shared-cache" in image.options:
            return "an image of the shared cache cannot be made"
    mapped = {each.step.name: each.step for each in scenario.steps if each.step.verb == "map"}
    unmapped = {
        each.step.place.region
        for each in scenario.steps
        if each.step.verb == "unmap" and each.step.place
    }
    for each in scenario.steps:
        if each.step.verb == "alias" and each.step.place:
            source = each.step.place.region
            options = mapped[source].options
            if source in unmapped or not {"shared", "jit"} & set(options):
                return "what has no descriptor cannot be mapped a second time"
    if scenario.has_malformed_entitlements:
        return "no tool signs malformed entitlements"
    return ""


def settings(process: Profile) -> str:
    """The process for the drop-in library, in the words of INTERLOCK_APPLE."""
    held = process.entitlements
    names = ",".join(sorted(short_name(key) for key in held.values if held.has(key)))
    words = [f"profile={process.name}", f"macos={process.macos}", f"entitlements={names}"]
    return " ".join([*words, f"wait-ms={_DEADLOCK_MS}"])


# ---- Predictions ---------------------------------------------------------------------------------------------------------------


def predictions(scenario: Scenario, profile: Profile) -> dict[str, str]:
    """Outcomes as runner.h describes them, by the settings of the switches that matter."""
    touched = _touched(scenario, profile)
    names = [each.name for each in touched]
    made = {}
    for values in product(*(each.values for each in touched)):
        settings_of_case = dict(zip(names, values, strict=True))
        words = " ".join(f"{name}={value}" for name, value in settings_of_case.items())
        made[words] = _predicted(scenario, profile, settings_of_case)
    if len(made) > PREDICTIONS_MAX:
        message = f"{scenario.name} touches too many switches: {', '.join(names)}"
        raise ValueError(message)
    return made


def _touched(scenario: Scenario, profile: Profile) -> list[Switch]:
    """The switches of which a value changes what is predicted, from the defaults or from what the scenario sets."""
    bases = [{}, scenario.switches] if scenario.switches else [{}]
    found = set()
    for base in bases:
        before = _predicted(scenario, profile, base)
        for switch in SWITCHES:
            others = (
                each for each in switch.values if each != base.get(switch.name, switch.default)
            )
            settings = ({**base, switch.name: each} for each in others)
            if any(_predicted(scenario, profile, each) != before for each in settings):
                found.add(switch)
    return [each for each in SWITCHES if each in found]


def _predicted(scenario: Scenario, profile: Profile, switches: Mapping[str, str]) -> str:
    return _outcomes(play(replace(scenario, switches=switches), profile, ModelMachine()))


def _outcomes(report: Report) -> str:
    return "\n".join(f"{_outcome(each)}\t{each.outcome.rule}" for each in report.results)


def _outcome(result: StepResult) -> str:
    outcome: Outcome = result.outcome
    word = outcome.name
    if outcome.kind is OutcomeKind.OK:
        word = "" if outcome.value is None else str(outcome.value)
    is_plain = outcome.kind is OutcomeKind.OK and not outcome.rule
    is_possible = result.expectation is not None and result.expectation.is_possible
    may = "may" if is_possible and not is_plain else ""
    return " ".join(each for each in (may, outcome.kind.value, word) if each)


def _macos_range(scenario: Scenario) -> tuple[int, int]:
    """The versions for which the rules are those of the scenario's version: from the first, before the second."""
    if scenario.macos is None:
        return _FIRST_WITH_ALL_FUNCTIONS, 0
    conditions = [
        condition
        for rule in rules()
        for condition in (*rule.when, *(effect.when for effect in rule.effects))
    ]
    steps: set[MacosVersion] = {since for since, _ in SYMBOLS.values()}
    for condition in conditions:
        steps |= {each for each in (condition.macos_from, condition.macos_before) if each}
    earlier = [each for each in steps if each <= scenario.macos]
    later = [each for each in steps if each > scenario.macos]
    return _number(max(earlier)), _number(min(later)) if later else 0


def _number(version: MacosVersion) -> int:
    return version.major * 100 + version.minor


# ---- C -------------------------------------------------------------------------------------------------------------------------


def _c(text: str) -> str:
    """A string literal in UTF-8; JSON's escapes of quotes, lines and tabs are C's."""
    return json.dumps(text, ensure_ascii=False)


def _case(case: Case) -> str:
    scenario, profile = case.scenario, case.profile
    steps = "\n".join(f"{each.step.thread}\t{wire.line(each.step)}" for each in scenario.steps)
    made = predictions(scenario, profile)
    since, before = _macos_range(scenario)
    rows = ", ".join(f"{{{_c(each)}, {_c(outcomes)}}}" for each, outcomes in made.items())
    fields = [
        *(_c(scenario.name), _c(profile.name), _c(" ".join(scenario.rules)), _c(case.program)),
        *(_c(settings(profile)), _c(case.refusal), str(since), str(before), _c(steps)),
        *(str(len(made)), f"{{{rows}}}"),
    ]
    return f"    {{{', '.join(fields)}}},"


def _table(kind: str, name: str, rows: Sequence[str]) -> list[str]:
    return [
        f"const probe_{kind} probe_{name}[] = {{",
        *rows,
        "};",
        f"const size_t probe_{kind}_count = {len(rows)};",
    ]


def source(cases: Sequence[Case], *, sign_commands: Sequence[str]) -> str:
    """cases.c."""
    rule_rows = [f"    {{{_c(each.id)}, {_c(each.statement)}}}," for each in rules()]
    switch_rows = [
        f"    {{{_c(each.name)}, {_c(each.rule)}, {_c(' '.join(each.values))}}},"
        for each in SWITCHES
    ]
    question_rows = [
        f"    {{{_c(each.text)}, {_c(each.rule)}, {_c(each.switch)}, {_c(_REMARKS.get(each.number, ''))}}},"
        for each in QUESTIONS
    ]
    case_rows = [_case(each) for each in cases]
    counts = {
        "RULES_MAX": len(rule_rows),
        "SWITCHES_MAX": len(switch_rows),
        "VALUES_MAX": max(len(each.values) for each in SWITCHES),
        "CASE_STEPS_MAX": max((len(each.scenario.steps) for each in cases), default=0),
    }
    lines = [
        "/* Written by apple/probe/cases.py from tests/scenarios; not kept in the repository. */",
        '#include "runner.h"',
        *(f'_Static_assert({n} <= {limit}, "{limit}");' for limit, n in counts.items()),
        *_table("case", "cases", case_rows),
        *_table("rule", "rules", rule_rows),
        *_table("switch", "switches", switch_rows),
        *_table("question", "questions", question_rows),
        f"const char probe_scenarios_digest[] = {_c(_digest(case_rows))};",
        "const char *const probe_sign_commands[] = {",
        *(f"    {_c(each)}," for each in sign_commands),
        "    0,",
        "};",
        "",
    ]
    return "\n".join(lines)


def _digest(rows: Iterable[str]) -> str:
    return sha256("\n".join(rows).encode()).hexdigest()[:_DIGEST_DIGITS]
