"""Every interleaving of two threads with five steps each: the model against a second, much smaller reading of sections 5 and 6.

Interleavings that lead to the same states are the same from there on, so states are explored, not sequences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from interlock.contract import Entitlements, Outcome, OutcomeKind, Process, Profile, profile
from interlock.contract.allow_list import Image, ListState
from interlock.contract.entitlements import JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.memory import MapRequest
from interlock.contract.memory_map import Protection
from interlock.contract.threads import JitState, Thread

T = TypeVar("T")
STEPS = 5
LISTED, UNLISTED = 0x1000, 0x2000
ACTIONS = (
    *("open", "close", "call listed", "call unlisted", "return", "longjmp"),
    *("write", "execute", "freeze"),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the second reading knows of a thread."""

    may_write: bool = False
    callbacks: int = 0


def expect(
    thread: Expected, action: str, mode: ListState, *, is_late: bool, is_native: bool
) -> tuple[Expected, str, ListState]:
    """The thread afterwards, `ok`, `SIGBUS` or the rule of a kill, and the list afterwards."""
    if not is_native:
        callbacks = thread.callbacks + action.startswith("call") - (action in {"return", "longjmp"})
        return replace(thread, callbacks=callbacks), "ok", mode
    match action:
        case "open" | "close":
            outcome = "ok" if mode is ListState.OFF else "C9"
            return replace(thread, may_write=action == "open"), outcome, mode
        case "call listed" | "call unlisted":
            if mode is ListState.OPEN:
                return thread, "F1", mode
            if mode is ListState.FROZEN and action == "call unlisted":
                return thread, "C8", mode
            return Expected(may_write=True, callbacks=thread.callbacks + 1), "ok", mode
        case "return" | "longjmp":
            left = Expected(may_write=action == "longjmp", callbacks=thread.callbacks - 1)
            return left, "ok", mode
        case "write":
            return thread, "ok" if thread.may_write else "SIGBUS", mode
        case "execute":
            return thread, "SIGBUS" if thread.may_write else "ok", mode
    if mode is ListState.OPEN:
        return thread, "ok", ListState.FROZEN
    return thread, "F2" if is_late else "F3", mode


@dataclass(frozen=True, slots=True)
class State:
    """Both threads in the model and in the second reading, the list, and the steps that are left."""

    model: tuple[tuple[JitState, str, int, int], ...]
    expected: tuple[Expected, ...]
    mode: ListState
    left: tuple[int, ...]


class Explorer:
    """Takes one step from any state, in a process that is put back into that state."""

    def __init__(self, process_profile: Profile) -> None:
        images = [Image(name="main", words=(LISTED, 0))]
        self.process = Process(process_profile, images=images)
        assert self.process.start().kind is OutcomeKind.OK
        self.is_native = process_profile.page_bytes == 16384
        self.is_late = process_profile.entitlements.has(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
        self.process.set_handler("SIGBUS", "catch")
        request = MapRequest(size=64, protection=Protection.RWX, is_jit=True)
        _, self.code = self.process.memory.mmap(request)
        writer = Thread(name="writer")
        writer.toggle(is_protected=False)
        self.process.store(writer, self.code, 16, 7)
        self.process.invalidate(writer, self.code, 16)
        self.lists = {self.process.list.state: self.process.list.copy()}
        if self.process.list.state is ListState.OPEN:
            frozen = self.process.list.copy()
            frozen.freeze(self.process.images)
            self.lists[ListState.FROZEN] = frozen

    def start(self) -> State:
        return State(
            model=((JitState.RX, "T1", 0, 0), (JitState.RX, "T3", 0, 0)),
            expected=(Expected(), Expected()),
            mode=self.process.list.state,
            left=(STEPS, STEPS),
        )

    def step(self, state: State, index: int, action: str) -> State | None:
        """The next state; None after the end of the process.  Fails where the two readings differ."""
        jit, cause, windows, callbacks = state.model[index]
        thread = Thread(
            name=str(index), state=jit, cause=cause, windows=windows, callbacks=callbacks
        )
        self.process.is_dead = False
        self.process.list = self.lists[state.mode].copy()
        outcome = self._act(thread, action)
        after, wanted, mode = expect(
            state.expected[index],
            action,
            state.mode,
            is_late=self.is_late,
            is_native=self.is_native,
        )
        kind = {OutcomeKind.OK: "ok", OutcomeKind.SIGNAL: outcome.name}
        found = kind.get(outcome.kind, outcome.rule)
        assert found == wanted, (state, index, action, str(outcome))
        if outcome.kind is OutcomeKind.KILL:
            assert self.process.is_dead
            return None
        assert self.process.list.state is mode
        now = (thread.state, thread.cause, thread.windows, thread.callbacks)
        return State(
            model=_replaced(state.model, index, now),
            expected=_replaced(state.expected, index, after),
            mode=mode,
            left=_replaced(state.left, index, state.left[index] - 1),
        )

    def _act(self, thread: Thread, action: str) -> Outcome:
        process = self.process
        match action:
            case "open" | "close":
                return process.write_protect(thread, int(action == "close"))
            case "call listed" | "call unlisted":
                callback = LISTED if action == "call listed" else UNLISTED
                return process.enter_callback(thread, callback)
            case "return":
                return process.return_from_callback(thread, 0)
            case "longjmp":
                return process.escape_from_callback(thread)
            case "write":
                return process.store(thread, self.code, 16, 7)
            case "execute":
                return process.execute(thread, self.code)
        return process.freeze(thread)


def _replaced(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _process(name: str, *keys: str) -> Profile:
    return profile(name).with_(entitlements=Entitlements.of(dict.fromkeys(keys, True)))


@pytest.mark.parametrize(
    "explored",
    [
        _process("macos-arm64"),
        _process("macos-arm64", JIT_WRITE_ALLOWLIST),
        _process("macos-arm64", JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE),
        _process("macos-x86_64", JIT_WRITE_ALLOWLIST),
    ],
    ids=("toggling", "listed", "late", "x86_64"),
)
def test_two_threads_of_five_steps_agree_with_a_second_reading(explored: Profile) -> None:
    explorer = Explorer(explored)
    start = explorer.start()
    known = {start}
    waiting = [start]

    while waiting:
        state = waiting.pop()
        for index in (0, 1):
            for action in ACTIONS:
                is_leaving = action in {"return", "longjmp"}
                if not state.left[index] or (is_leaving and not state.expected[index].callbacks):
                    continue
                following = explorer.step(state, index, action)
                if following is not None and following not in known:
                    known.add(following)
                    waiting.append(following)

    assert any(state.left == (0, 0) for state in known)
