"""What runs scenarios: any machine that understands steps.  `ModelMachine` is the model behind that interface.

A library that enforces the contract, the modelled Mac and the probe for a real one are other machines; `play` compares what a
machine does with what a scenario says, and knows nothing else about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from interlock.contract.memory import MapRequest
from interlock.contract.outcome import DEAD, OK, Outcome, OutcomeKind, ok
from interlock.contract.places import Names, Region, Regions, descriptor_of, protection_of
from interlock.contract.process import Process
from interlock.contract.profile import Chip
from interlock.contract.scenario import ImageText
from interlock.contract.steps import MAIN_THREAD, Step
from interlock.contract.threads import Thread
from interlock.errors import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.contract.profile import Profile
    from interlock.contract.scenario import Expectation, Scenario


class Machine(Protocol):
    """Something that can be told a scenario's steps, in a process of a profile."""

    @property
    def is_exact(self) -> bool:
        """Whether every outcome is certain here, `may` included, and names its rule."""

    def refusal(self, profile: Profile, scenario: Scenario) -> str:
        """Why this machine cannot play the scenario in a process of this profile; empty if it can."""

    def start(self, profile: Profile, scenario: Scenario) -> Outcome:
        """Make the process: images and switches of the scenario, entitlements of the profile."""

    def perform(self, step: Step) -> Outcome:
        """Take the step.  `dead` if its process has ended."""


def refuse_other_chips(profile: Profile) -> str:
    """The modelled Mac's refusal; here, so that the table of implementations is made without its processor."""
    if profile.chip is Chip.APPLE_SILICON:
        return ""
    return "the modelled Mac has an AArch64 processor and no Rosetta"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step came to, and whether that is what the scenario says."""

    step: Step
    expectation: Expectation | None
    outcome: Outcome
    is_met: bool
    is_reached: bool

    def __str__(self) -> str:
        """`allow_list.scenarios:7:1: callback other: expected kill C8, got ok`."""
        wanted = self.expectation or "ok"
        return f"{self.step.span}: {self.step.text}: expected {wanted}, got {self.outcome}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One scenario under one profile.  `refusal` says why the machine did not play it; empty if it did."""

    scenario: Scenario
    profile: Profile
    results: tuple[StepResult, ...]
    refusal: str = ""

    @property
    def failures(self) -> tuple[StepResult, ...]:
        """The steps which came to something else."""
        return tuple(result for result in self.results if not result.is_met)


def play(scenario: Scenario, profile: Profile, machine: Machine) -> Report:
    """Run the scenario under one of its profiles.  A machine that refuses it runs none of it."""
    refusal = machine.refusal(profile, scenario)
    if refusal:
        return Report(scenario=scenario, profile=profile, results=(), refusal=refusal)
    started = machine.start(profile, scenario)
    results = []
    for index, each in enumerate(scenario.steps):
        expectation = each.expectation_for(profile.name)
        is_start = each.step.verb == "start"
        if index == 0 and not is_start and started.kind is not OutcomeKind.OK:
            outcome = started
        else:
            outcome = started if is_start else machine.perform(each.step)
        results.append(_judge(each.step, expectation, outcome, machine))
    return Report(scenario=scenario, profile=profile, results=tuple(results))


def _judge(
    step: Step, expectation: Expectation | None, outcome: Outcome, machine: Machine
) -> StepResult:
    is_reached = outcome.kind is not OutcomeKind.DEAD or step.verb == "alive"
    if expectation is not None and (is_reached or expectation.kind is OutcomeKind.DEAD):
        is_met = expectation.is_met_by(outcome, is_exact=machine.is_exact)
    elif is_reached:
        is_met = outcome.kind is OutcomeKind.OK and not outcome.rule
    else:
        is_met = True  # the process has ended: nothing is claimed about what would have come
    return StepResult(
        step=step,
        expectation=expectation,
        outcome=outcome,
        is_met=is_met,
        is_reached=is_reached,
    )


@dataclass(slots=True, kw_only=True)
class _Running:
    """A thread of a scenario, and the process it belongs to."""

    process: Process
    thread: Thread


class ModelMachine:
    """The model as a machine: names become addresses, steps calls of `Process`."""

    is_exact = True

    def __init__(self) -> None:
        self._names = Names()
        self._regions = Regions(0)
        self._threads: dict[str, _Running] = {}
        self._verbs: Mapping[str, Callable[[_Running, Step], Outcome]] = {
            "map": self._map,
            "unmap": self._unmap,
            "protect": self._protect,
            "advise": self._advise,
            "alias": self._alias,
            "write": self._write,
            "invalidate": self._invalidate,
            "clear-cache": self._invalidate,
            "return": self._leave_callback,
            "escape": self._leave_callback,
            "handler-return": self._leave_handler,
            "dlopen": self._dlopen,
            "thread": self._thread,
            "end-thread": self._end_thread,
            "fork": self._fork,
            "exec": self._exec,
        }

    def refusal(self, profile: Profile, scenario: Scenario) -> str:
        """None: the model understands the whole language."""
        del profile, scenario
        return ""

    def start(self, profile: Profile, scenario: Scenario) -> Outcome:
        """A process with the scenario's images."""
        self._names, self._regions = Names(), Regions(profile.page_bytes)
        images = [self._names.image(each) for each in scenario.images]
        process = Process(profile, images=images, switches=scenario.switches)
        main = Thread(name=MAIN_THREAD)
        self._threads = {MAIN_THREAD: _Running(process=process, thread=main)}
        return process.start()

    def perform(self, step: Step) -> Outcome:
        """One step."""
        running = self._threads.get(step.thread)
        if running is None:
            raise ScenarioError(f"there is no thread {step.thread}", span=step.span)
        if running.process.is_dead:
            return DEAD
        special = self._verbs.get(step.verb)
        if special is not None:
            return special(running, step)
        return self._simple(running.process, running.thread, step)

    def _simple(self, process: Process, thread: Thread, step: Step) -> Outcome:
        """Steps which are one call each."""
        value = step.value or 0
        match step.verb:
            case "start" | "alive":
                return OK
            case "toggle":
                return process.write_protect(thread, value)
            case "supported":
                return process.write_protect_supported(thread)
            case "callback":
                return process.enter_callback(thread, self._names.callback(step.name))
            case "freeze":
                return process.freeze(thread)
            case "symbol":
                return process.symbol(step.name)
            case "read":
                return process.load(thread, self._regions.address(step))
            case "kernel-write":
                return process.kernel_store(thread, self._regions.address(step), value)
            case "execute":
                return process.execute(thread, self._regions.address(step))
            case "flush-by-hand":
                return process.flush_by_hand(thread)
            case "barrier":
                return process.synchronise(thread)
            case "handler":
                return process.set_handler(step.name, step.action)
            case "deliver":
                return process.deliver(thread, step.name)
            case "closure":
                return process.make_closure()
            case "page-size":
                return ok(process.profile.page_bytes)
        raise ScenarioError(f"the model has no step {step.verb}", span=step.span)

    # ---- Steps with names -----------------------------------------------------------------------------------------------------

    def _map(self, running: _Running, step: Step) -> Outcome:
        process, options = running.process, step.options
        size = self._regions.bytes_of(step.length)
        outcome, address = process.memory.mmap(
            MapRequest(
                size=size,
                protection=protection_of(step),
                is_jit="jit" in options,
                is_anonymous="file" not in options,
                is_private="noprivate" not in options and "shared" not in options,
                is_shared="shared" in options,
                is_resilient="resilient" in options,
                is_tpro="tpro" in options,
                has_unknown_flag="unknown" in options,
                fixed=self._regions.fixed_address(step),
                hint=process.memory.map.place(size) if "hint" in options else None,
                descriptor=descriptor_of(options),
            )
        )
        self._regions.add(
            step.name, Region(address=address, size=process.memory.map.round_up(size))
        )
        return outcome

    def _unmap(self, running: _Running, step: Step) -> Outcome:
        return running.process.memory.munmap(*self._regions.range(step))

    def _protect(self, running: _Running, step: Step) -> Outcome:
        address, size = self._regions.range(step)
        return running.process.memory.mprotect(address, size, protection_of(step))

    def _advise(self, running: _Running, step: Step) -> Outcome:
        address, size = self._regions.range(step)
        return running.process.memory.madvise(address, size, step.name)

    def _alias(self, running: _Running, step: Step) -> Outcome:
        address, size = self._regions.range(step)
        outcome, base = running.process.memory.alias(address, size, protection_of(step))
        self._regions.add(step.name, Region(address=base, size=size))
        return outcome

    def _write(self, running: _Running, step: Step) -> Outcome:
        address, size = self._regions.cells(step)
        return running.process.store(running.thread, address, size, step.value or 0)

    def _invalidate(self, running: _Running, step: Step) -> Outcome:
        address, size = self._regions.cells(step)
        return running.process.invalidate(running.thread, address, size)

    def _leave_callback(self, running: _Running, step: Step) -> Outcome:
        if not running.thread.callbacks:
            raise ScenarioError(f"{step.thread} is in no callback", span=step.span)
        if step.verb == "escape":
            return running.process.escape_from_callback(running.thread)
        return running.process.return_from_callback(running.thread, step.value or 0)

    def _leave_handler(self, running: _Running, step: Step) -> Outcome:
        if not running.thread.interrupted:
            raise ScenarioError(f"{step.thread} is in no handler", span=step.span)
        return running.process.leave_handler(running.thread)

    def _dlopen(self, running: _Running, step: Step) -> Outcome:
        text = ImageText(name=step.name, words=step.words, options=step.options, span=step.span)
        return running.process.load_image(self._names.image(text))

    def _thread(self, running: _Running, step: Step) -> Outcome:
        self._add(step.name, running.process, running.process.create_thread(step.name), step)
        return OK

    def _end_thread(self, running: _Running, step: Step) -> Outcome:
        del running, self._threads[step.thread]
        return OK

    def _fork(self, running: _Running, step: Step) -> Outcome:
        self._add(step.name, *running.process.fork(running.thread, step.name), step)
        return OK

    def _exec(self, running: _Running, step: Step) -> Outcome:
        """The thread that called it is the only one left, in the state of a new one."""
        for name in [
            each for each, other in self._threads.items() if other.process is running.process
        ]:
            del self._threads[name]
        fresh = Thread(name=step.thread)
        self._threads[step.thread] = _Running(process=running.process, thread=fresh)
        return running.process.exec()

    def _add(self, name: str, process: Process, thread: Thread, step: Step) -> None:
        if name in self._threads:
            raise ScenarioError(f"there is a thread {name} already", span=step.span)
        self._threads[name] = _Running(process=process, thread=thread)
