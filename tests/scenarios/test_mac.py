"""Every scenario that applies to Apple silicon comes to the same on the modelled Mac: by instructions that run."""

from __future__ import annotations

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")

from apple.probe import build
from interlock.contract import Profile, Scenario, parse_scenarios, play, profile
from interlock.contract.profile import Chip
from interlock.mac import MacMachine

CASES = [(scenario, each) for scenario in build.scenarios() for each in scenario.profiles()]
ON_APPLE_SILICON = [case for case in CASES if case[1].chip is Chip.APPLE_SILICON]
IDS = [f"{scenario.name}-{each.name}" for scenario, each in ON_APPLE_SILICON]


@pytest.mark.parametrize(("scenario", "on"), ON_APPLE_SILICON, ids=IDS)
def test_scenario_comes_to_what_it_says(scenario: Scenario, on: Profile) -> None:
    report = play(scenario, on, MacMachine())

    assert not report.refusal
    assert not report.failures, "\n".join(map(str, report.failures))


def test_what_is_no_apple_silicon_is_refused() -> None:
    other = [case for case in CASES if case[1].chip is not Chip.APPLE_SILICON]

    refusals = {play(*case, MacMachine()).refusal for case in other}

    assert len(other) > 500
    assert refusals == {"the modelled Mac has an AArch64 processor and no Rosetta"}


def _play(text: str, name: str = "macos-arm64") -> list[str]:
    (scenario,) = parse_scenarios(f"scenario s\nabout A.\nrules I1\n{text}", file="s")
    return [str(each.outcome) for each in play(scenario, profile(name), MacMachine()).results]


def test_loads_see_new_code_while_fetches_run_the_old() -> None:
    """Two views of one address: what the processor reads there is not what it runs."""
    outcomes = _play(
        "map code 1 rwx jit\ntoggle 0\nwrite code 1\ninvalidate code\nwrite code 2\ntoggle 1\n"
        "read code\nexecute code\ninvalidate code\nexecute code"
    )

    assert outcomes[-4:] == ["ok 2", "ok 1 I1", "ok", "ok 2"]


def test_stores_before_the_one_that_faults_are_made() -> None:
    outcomes = _play(
        "handler SIGBUS catch\nmap code 2 rw\nprotect code+1 1 r\nwrite code+16368b 7 32b\nread code+16368b\nread code+1"
    )

    assert outcomes[-3:] == ["signal SIGBUS A12", "ok 7", "ok 0"]
