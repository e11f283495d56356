"""The runner judges any machine: one that knows no rules, one that lacks steps, one that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interlock.contract import ModelMachine, Outcome, OutcomeKind, parse_scenarios, play

if TYPE_CHECKING:
    from interlock.contract import Profile, Report, Scenario, Step

_HEAD = "scenario a\nabout An example.\nrules A1\n"


class ScriptedMachine:
    """Gives the outcomes that it was told, in their order."""

    def __init__(self, *outcomes: Outcome, is_exact: bool = False, lacks: str = "") -> None:
        self.is_exact = is_exact
        self._outcomes = list(outcomes)
        self._lacks = lacks

    def refusal(self, profile: Profile, scenario: Scenario) -> str:
        del profile
        verbs = {each.step.verb for each in scenario.steps}
        return f"it has no {self._lacks}" if self._lacks in verbs else ""

    def start(self, profile: Profile, scenario: Scenario) -> Outcome:
        del profile, scenario
        return Outcome(kind=OutcomeKind.OK)

    def perform(self, step: Step) -> Outcome:
        del step
        return self._outcomes.pop(0)


def _play(text: str, *outcomes: Outcome, is_exact: bool = False, lacks: str = "") -> Report:
    (scenario,) = parse_scenarios(_HEAD + text)
    machine = ScriptedMachine(*outcomes, is_exact=is_exact, lacks=lacks)
    return play(scenario, scenario.profiles()[0], machine)


OK = Outcome(kind=OutcomeKind.OK)
DEAD = Outcome(kind=OutcomeKind.DEAD)


def _kill(rule: str = "", message: str = "") -> Outcome:
    return Outcome(kind=OutcomeKind.KILL, name="SIGTRAP", rule=rule, message=message)


def _value(number: int, rule: str = "") -> Outcome:
    return Outcome(kind=OutcomeKind.OK, value=number, rule=rule)


@pytest.mark.parametrize(
    ("expected", "outcome", "is_met"),
    [
        ("ok 7", _value(7), True),
        ("ok 7", _value(8), False),
        ("ok", _value(8), True),
        ("ok 7", _kill(), False),
        ("kill C8", _kill(), True),
        ("kill C8", _kill("C8"), True),
        ("kill C8", _kill("C9"), False),
        ('kill C8 "text"', _kill("C8", "text"), True),
        ('kill C8 "text"', _kill("C8", "other"), False),
        ('kill C8 "text"', _kill("C8"), True),
        ("kill C8", OK, False),
        ("errno EACCES P1", Outcome(kind=OutcomeKind.ERRNO, name="EACCES"), True),
        ("errno EACCES P1", Outcome(kind=OutcomeKind.ERRNO, name="EINVAL"), False),
        ("errno * P1", Outcome(kind=OutcomeKind.ERRNO, name="EINVAL"), True),
        ("may signal SIGILL I1", _value(5), True),
        ("may signal SIGILL I1", Outcome(kind=OutcomeKind.SIGNAL, name="SIGILL"), True),
        ("may signal SIGILL I1", Outcome(kind=OutcomeKind.SIGNAL, name="SIGBUS"), False),
        ("dead", DEAD, True),
        ("dead", OK, False),
    ],
)
def test_outcome_of_a_machine_that_knows_no_rules(
    expected: str,
    outcome: Outcome,
    is_met: bool,  # noqa: FBT001  (a column of the table)
) -> None:
    report = _play(f"alive\n> all: {expected}\n", outcome)

    assert (not report.failures) is is_met


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        ("kill C8", _kill()),
        ('kill C8 "text"', _kill("C8")),
        ("may ok 1 I1", _value(2)),
        ("ok 1", _value(1, "I1")),
    ],
)
def test_exact_machine_is_held_to_rules_messages_and_may(expected: str, outcome: Outcome) -> None:
    assert _play(f"alive\n> all: {expected}\n", outcome, is_exact=True).failures


def test_step_without_an_outcome_must_succeed() -> None:
    assert not _play("supported\n", _value(1)).failures
    assert _play("supported\n", _kill()).failures
    assert _play("supported\n", _value(1, "I1"), is_exact=True).failures


def test_nothing_is_claimed_about_steps_after_the_end() -> None:
    report = _play(
        "closure\n> all: kill C8\nclosure\n> all: ok\nalive\n> all: dead\n", _kill(), DEAD, DEAD
    )

    assert not report.failures
    assert [each.is_reached for each in report.results] == [True, False, True]


def test_dead_process_that_should_be_alive_is_a_failure() -> None:
    (failure,) = _play("closure\n> all: kill C8\nalive\n", _kill(), DEAD).failures

    assert str(failure).endswith("alive: expected ok, got dead")


def test_scenario_that_the_machine_refuses_is_not_run() -> None:
    report = _play("alive\nbarrier\n", lacks="barrier")

    assert report.refusal == "it has no barrier"
    assert report.results == ()


def test_process_that_dies_before_main_fails_the_first_step() -> None:
    (scenario,) = parse_scenarios(_HEAD + "image main: fill:2048\nalive\n")
    (listed,) = [each for each in scenario.profiles() if each.name == "macos-arm64-allowlist"]

    report = play(scenario, listed, ModelMachine())

    assert "kill SIGTRAP C15" in str(report.failures[0])
