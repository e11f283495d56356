"""The drop-in library for Linux as the system under the driver: which Mac it is, and what it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apple.probe import cases
from interlock.contract import Chip, MacosVersion
from interlock.contract.steps import MAIN_THREAD

if TYPE_CHECKING:
    from interlock.contract import Profile, Scenario, Step

_FIRST_WITH_ALL_FUNCTIONS: Final = MacosVersion(12, 1)


def environment(profile: Profile, scenario: Scenario) -> dict[str, str]:
    """What tells libinterlock_apple which Mac it is."""
    words = [cases.settings(profile), *(f"{k}={v}" for k, v in scenario.switches.items())]
    return {"INTERLOCK_APPLE": " ".join(words)}


def refusal(profile: Profile, scenario: Scenario) -> str:
    """Why libinterlock_apple cannot play a scenario; empty if it can."""
    verbs = {each.step.verb for each in scenario.steps}
    reason = cases.refusal(scenario)
    if reason:
        return reason
    if "closure" in verbs:
        return "libffi's closures are not the library's business"
    if "symbol" in verbs and scenario.macos and scenario.macos < _FIRST_WITH_ALL_FUNCTIONS:
        return "the library's functions are there in every version (T10, C24)"
    if "flush-by-hand" in verbs and profile.chip is Chip.APPLE_SILICON:
        return "the instructions are those of the machine below, which may have no CTR_EL0 (I3)"
    if any(each.step.verb == "alias" and _is_jit(scenario, each.step) for each in scenario.steps):
        return "Linux maps no private memory a second time (P9)"
    if profile.chip is Chip.APPLE_SILICON and _has_two_at_once(scenario):
        return "the protection of a page is one for all threads: others wait while one writes (T2)"
    return ""


def _is_jit(scenario: Scenario, alias: Step) -> bool:
    """Whether a second mapping is one of JIT memory."""
    return any(
        "jit" in each.step.options
        for each in scenario.steps
        if each.step.verb == "map" and alias.place and each.step.name == alias.place.region
    )


def _has_two_at_once(scenario: Scenario) -> bool:
    """Whether a thread touches memory while another one of its process writes."""
    process_of = {MAIN_THREAD: MAIN_THREAD}
    writing: set[str] = set()
    for each in scenario.steps:
        step = each.step
        match step.verb:
            case "thread":
                process_of[step.name] = process_of[step.thread]
            case "fork":
                process_of[step.name] = step.name
            case "callback":
                writing.add(step.thread)
            case "toggle" if step.value == 0:
                writing.add(step.thread)
            case "toggle" | "return":
                writing.discard(step.thread)
            case "write" | "execute" if any(
                other != step.thread and process_of[other] == process_of[step.thread]
                for other in writing
            ):
                return True
    return False
