"""The scenario driver as a machine: `play` starts it in a process of its own for each scenario and sends it the steps.

A thread of a scenario has a socket; what its process does is the answer to each line, or the end of the socket.  An end is a kill
if the process left a message of the contract's behind, or was killed; otherwise it is a signal that nothing caught.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from apple.probe import wire
from interlock.contract import EffectKind, Outcome, OutcomeKind, rules
from interlock.contract.outcome import DEAD, OK
from interlock.contract.steps import MAIN_THREAD
from interlock.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apple.probe.build import Builder
    from interlock.contract import Profile, Scenario, Step

ANSWER_SECONDS_MAX: Final = 60.0
_LINE_BYTES_MAX: Final = 1024
_PROTOCOL_ERROR: Final = 70  # the driver's exit status where it was told nonsense
_MESSAGES: Final = sorted(
    {
        effect.message
        for rule in rules()
        for effect in rule.effects
        if effect.kind is EffectKind.KILL
    },
    key=len,
    reverse=True,
)
_RULE: Final = re.compile(r"interlock explain (\w+)")
# What a library says that cannot see more: no list that it finds, a jump out of a callback, what a handler was for.
_GENERAL: Final = frozenset({"C8", "C5", "T12"})
_ANSWER: Final = re.compile(r"(?P<kind>ok|errno|signal)(?: (?P<word>\w+))?")


@dataclass(slots=True, kw_only=True)
class _Process:
    """The scenario's first process, or a forked child: then its name, and the actor that forked it."""

    name: str = ""
    parent: _Actor | None = None
    is_dead: bool = False


@dataclass(slots=True, kw_only=True)
class _Actor:
    channel: socket.socket
    process: _Process


class DriverMachine:
    """Scenarios in processes of the driver.  `environment` makes the process of a profile, `refuse` says what cannot be."""

    is_exact = False

    def __init__(
        self,
        builder: Builder,
        *,
        environment: Callable[[Profile, Scenario], Mapping[str, str]],
        refuse: Callable[[Profile, Scenario], str],
    ) -> None:
        self._builder = builder
        self._environment = environment
        self._refuse = refuse
        self._actors: dict[str, _Actor] = {}
        self._first: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()
        self._errors.close()

    def refusal(self, profile: Profile, scenario: Scenario) -> str:
        """Why the scenario cannot be played here."""
        return self._refuse(profile, scenario)

    def start(self, profile: Profile, scenario: Scenario) -> Outcome:
        """Start the driver that has the scenario's images."""
        self._stop()
        program = self._builder.executable(*scenario.images)
        ours, theirs = socket.socketpair()
        self._first = subprocess.Popen(
            [str(program), MAIN_THREAD, str(theirs.fileno())],
            env={**os.environ, **self._environment(profile, scenario)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=self._errors,
        )
        theirs.close()
        main = self._add(MAIN_THREAD, ours, _Process())
        return self._answer(main)

    def perform(self, step: Step) -> Outcome:
        """Send the step to its thread and wait for what comes of it."""
        actor = self._actors[step.thread]
        if actor.process.is_dead:
            return DEAD
        text = wire.line(step)
        if step.verb == "dlopen":
            self._builder.library(wire.image_of(step))
        if step.verb in {"thread", "fork"}:
            return self._start_actor(actor, step, text)
        if step.verb == "exec":
            for name, each in [*self._actors.items()]:
                if each.process is actor.process and each is not actor:
                    self._remove(name)
        outcome = self._ask(actor, text)
        if step.verb == "end-thread":
            self._remove(step.thread)
        return outcome

    def _start_actor(self, actor: _Actor, step: Step, text: str) -> Outcome:
        ours, theirs = socket.socketpair()
        socket.send_fds(actor.channel, [f"{text}\n".encode()], [theirs.fileno()])
        theirs.close()
        process = actor.process
        if step.verb == "fork":
            process = _Process(name=step.name, parent=actor)
        self._add(step.name, ours, process)
        return self._answer(actor)

    def _ask(self, actor: _Actor, text: str) -> Outcome:
        actor.channel.sendall(f"{text}\n".encode())
        return self._answer(actor)

    def _add(self, name: str, channel: socket.socket, process: _Process) -> _Actor:
        channel.settimeout(ANSWER_SECONDS_MAX)
        self._actors[name] = _Actor(channel=channel, process=process)
        return self._actors[name]

    def _remove(self, name: str) -> None:
        self._actors.pop(name).channel.close()

    # ---- Answers --------------------------------------------------------------------------------------------------------------

    def _answer(self, actor: _Actor) -> Outcome:
        try:
            line = actor.channel.recv(_LINE_BYTES_MAX)
        except ConnectionResetError:
            line = b""
        if not line:
            return self._end(actor.process)
        return self._parse(line.decode().removesuffix("\n"))

    def _parse(self, text: str) -> Outcome:
        found = _ANSWER.fullmatch(text)
        if found is None:
            raise InternalError(stage="probe", detail=f"the driver answers {text!r}")
        kind, word = OutcomeKind(found["kind"]), found["word"] or ""
        if kind is OutcomeKind.OK:
            return Outcome(kind=kind, value=int(word)) if word else OK
        return Outcome(kind=kind, name=word)

    def _end(self, process: _Process) -> Outcome:
        process.is_dead = True
        name = self._ending_signal(process)
        messages = self._stderr()
        said = _RULE.findall(messages)
        rule = said[-1] if said and said[-1] not in _GENERAL else ""
        for message in _MESSAGES:
            if message in messages:
                return Outcome(kind=OutcomeKind.KILL, name=name, message=message, rule=rule)
        kind = OutcomeKind.KILL if name == "SIGKILL" else OutcomeKind.SIGNAL
        return Outcome(kind=kind, name=name, rule=rule)

    def _ending_signal(self, process: _Process) -> str:
        """Its name: the first process is ours to wait for, a forked one is its parent's."""
        if process.parent is not None:
            ended = self._ask(process.parent, f"reap {process.name}")
            if ended.kind is OutcomeKind.SIGNAL:
                return ended.name
            status = ended.value or 0
        else:
            assert self._first is not None  # noqa: S101 - a process that answers was started
            status = self._first.wait(ANSWER_SECONDS_MAX)
            if status < 0:
                return signal.Signals(-status).name
        detail = f"the driver ended with {status}: {self._stderr()}"
        raise InternalError(stage="probe", detail=detail)

    def _stderr(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def _stop(self) -> None:
        """End what is left of a scenario: every process ends when its socket does."""
        for name in [*self._actors]:
            self._remove(name)
        if self._first is not None:
            self._first.kill()
            self._first.wait()
        self._first = None
        self._errors.seek(0)
        self._errors.truncate()
