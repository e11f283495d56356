"""Every scenario comes to what it says, under each of its profiles; together they cover the contract."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock.contract import (
    PORT_FAILURES,
    EffectKind,
    ModelMachine,
    Observation,
    Profile,
    Report,
    Scenario,
    parse_scenarios,
    play,
    rules,
)
from interlock.contract.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(Path(__file__).parent.glob("*.scenarios"))
SCENARIOS = [
    scenario
    for file in FILES
    for scenario in parse_scenarios(file.read_text(encoding="utf-8"), file=file.name)
]
Case = tuple[Scenario, Profile]
CASES: list[Case] = [
    (scenario, profile) for scenario in SCENARIOS for profile in scenario.profiles()
]


def _case_id(case: Case) -> str:
    return f"{case[0].name}-{case[1].name}"


@cache
def _reports() -> tuple[Report, ...]:
    return tuple(play(scenario, profile, ModelMachine()) for scenario, profile in CASES)


def _outcome_rules() -> Iterator[str]:
    for report in _reports():
        for result in report.results:
            if result.outcome.rule:
                yield result.outcome.rule


@pytest.mark.parametrize("case", CASES, ids=_case_id)
def test_scenario_comes_to_what_it_says(case: Case) -> None:
    report = play(*case, ModelMachine())

    assert not report.refusal
    assert not report.failures, "\n".join(map(str, report.failures))


def test_there_are_at_least_150_scenarios_of_different_names() -> None:
    names = {scenario.name for scenario in SCENARIOS}

    assert len(names) == len(SCENARIOS)
    assert len(SCENARIOS) >= 150


def test_every_observable_rule_is_covered() -> None:
    observable = {rule.id for rule in rules() if rule.observation is Observation.SCENARIO}

    named = {rule_id for scenario in SCENARIOS for rule_id in scenario.rules}

    assert observable - named == set()


def test_scenarios_name_no_rule_that_they_cannot_show() -> None:
    observable = {rule.id for rule in rules() if rule.observation is Observation.SCENARIO}
    # C25 is in one that shows what the mistake does at run time.
    named = {rule_id for scenario in SCENARIOS for rule_id in scenario.rules}

    assert named - observable == {"C25"}


def test_every_checkable_failure_is_covered() -> None:
    checkable = {failure.number for failure in PORT_FAILURES if failure.is_checkable}

    named = {number for scenario in SCENARIOS for number in scenario.failures}

    assert len(PORT_FAILURES) == 73
    assert {each.number for each in PORT_FAILURES} - checkable == {16, 37, 58, 59, 61, 62}
    assert named == checkable


def test_scenario_of_a_failure_names_a_rule_of_it() -> None:
    rules_of = {failure.number: set(failure.rules) for failure in PORT_FAILURES}

    strangers = [
        (scenario.name, number)
        for scenario in SCENARIOS
        for number in scenario.failures
        if not rules_of[number] & set(scenario.rules)
    ]

    assert strangers == []


def test_outcome_names_a_rule_of_its_scenario() -> None:
    """A scenario's rules are what it is about: no fault or kill comes from another one."""
    strangers = [
        (report.scenario.name, str(result))
        for report in _reports()
        for result in report.results
        if result.outcome.rule and result.outcome.rule not in report.scenario.rules
    ]

    assert strangers == []


def test_every_rule_with_a_visible_effect_decides_an_outcome() -> None:
    visible = {EffectKind.ERRNO, EffectKind.SIGNAL, EffectKind.KILL}
    expected = {
        rule.id
        for rule in rules()
        if rule.observation is Observation.SCENARIO
        and any(effect.kind in visible and effect.when.system == "macOS" for effect in rule.effects)
    }
    # Their effect is that of a more general rule, which the outcome names; a scenario shows each.
    general = {
        *("T4", "T5", "T8", "T9", "K5"),  # T1, T6 or T7
        *("C13", "C17", "C19", "C20"),  # C8 or C18
    }

    assert expected - set(_outcome_rules()) == general


def test_every_expected_line_decides_somewhere() -> None:
    """A line that no profile reaches would claim what nobody checks."""
    used = {
        (result.step.span, result.expectation.span)
        for report in _reports()
        for result in report.results
        if result.expectation is not None and result.is_reached
    } | {
        (result.step.span, result.expectation.span)
        for report in _reports()
        for result in report.results
        if result.expectation is not None and str(result.expectation) == "dead"
    }

    unused = [
        f"{expectation.span}: {scenario.name}"
        for scenario in SCENARIOS
        for each in scenario.steps
        for expectation in each.expectations
        if (each.step.span, expectation.span) not in used
    ]

    assert unused == []


def test_every_step_is_reached_somewhere() -> None:
    reached = {
        result.step.span for report in _reports() for result in report.results if result.is_reached
    }

    unreached = [
        f"{each.step.span}: {scenario.name}"
        for scenario in SCENARIOS
        for each in scenario.steps
        if each.step.span not in reached
    ]

    assert unreached == []


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda each: each.name)
def test_switch_decides_an_outcome(switch: object) -> None:
    """Each value other than the default has a scenario that comes to something else under the default."""
    assert hasattr(switch, "name")
    assert hasattr(switch, "values")
    for value in switch.values[1:]:
        users = [each for each in SCENARIOS if each.switches.get(switch.name) == value]
        assert users, value
        assert any(_differs_without(each, switch.name) for each in users), value


def _differs_without(scenario: Scenario, switch: str) -> bool:
    from dataclasses import replace

    rest = {name: value for name, value in scenario.switches.items() if name != switch}
    default = replace(scenario, switches=rest)
    return any(play(default, profile, ModelMachine()).failures for profile in scenario.profiles())


def test_all_six_profiles_are_played() -> None:
    played = {report.profile.name for report in _reports()}

    assert len(played) == 6
