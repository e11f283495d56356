"""Every scenario in real processes of the driver, with libinterlock_apple: it comes to what it says, or is refused for a reason."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from apple.probe import build, drop_in
from apple.probe.machine import DriverMachine
from interlock.contract import Profile, Scenario, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

SCENARIOS = build.scenarios()
CASES = [(scenario, profile) for scenario in SCENARIOS for profile in scenario.profiles()]
# How many cases the library cannot be asked about, by the reason that `drop_in.refusal` gives; strict in both directions.
REFUSED = {
    "an image of the shared cache cannot be made": 6,
    "no tool signs malformed entitlements": 12,
    "what has no descriptor cannot be mapped a second time": 12,
    "libffi's closures are not the library's business": 24,
    "the library's functions are there in every version (T10, C24)": 11,
    "the instructions are those of the machine below, which may have no CTR_EL0 (I3)": 3,
    "Linux maps no private memory a second time (P9)": 6,
    "the protection of a page is one for all threads: others wait while one writes (T2)": 6,
}


@pytest.fixture(scope="session")
def machine(
    driver_toolchain: build.Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DriverMachine]:
    builder = build.Builder(tmp_path_factory.mktemp("driver"), driver_toolchain)
    with DriverMachine(builder, environment=drop_in.environment, refuse=drop_in.refusal) as made:
        yield made


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not drop_in.refusal(case[1], case[0])],
    ids=lambda case: f"{case[0].name}-{case[1].name}",
)
def test_scenario_comes_to_what_it_says(
    machine: DriverMachine, case: tuple[Scenario, Profile]
) -> None:
    report = play(*case, machine)

    assert not report.refusal
    assert not report.failures, "\n".join(map(str, report.failures))


def test_library_is_asked_about_all_but_what_it_cannot_be() -> None:
    refused = Counter(drop_in.refusal(profile, scenario) for scenario, profile in CASES)
    del refused[""]

    assert dict(refused) == REFUSED
