"""All interleavings of two threads with five steps each, and what each step comes to by a second, much smaller reading.

The reading is written from sections 5 to 7 of the contract's text and shares nothing with the model.  Interleavings that lead to
the same state are the same from there on, so states are explored, and every step from every state that can be reached within five
steps a thread is taken once: `walks` gives sequences that together hold all of them.  `merges` gives sequences as they are, for
what an implementation may keep beside the state.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from interlock.contract import Entitlements, OutcomeKind, Profile, parse_scenarios, profile
from interlock.contract.entitlements import JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.scenario import ExpectedStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interlock.contract import Machine, Outcome, Scenario, Step

STEPS: Final = 5
THREADS: Final = ("main", "worker")
FIRST_VALUE: Final = 3
# A step's text for each action; `{value}` is what the thread writes.
ACTIONS: Final = {
    "open": "toggle 0",
    "close": "toggle 1",
    "call": "callback listed",
    "call unlisted": "callback unlisted",
    "call late": "callback late",
    "return": "return 0",
    "write": "write code {value}",
    "invalidate": "invalidate code",
    "execute": "execute code",
    "freeze": "freeze",
    "load": "dlopen plugin: late",
}
Move = tuple[int, str]
Walk = tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class ThreadReading:
    """May it write JIT memory (and then not run it), and how many callbacks is it in?"""

    may_write: bool = False
    callbacks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that sections 5 to 7 speak of.  `mode` of the list: off, open or frozen."""

    threads: tuple[ThreadReading, ThreadReading] = (ThreadReading(), ThreadReading())
    is_native: bool
    is_late: bool = False
    mode: str
    stored: int
    fetched: int
    has_plugin: bool = False
    listed: frozenset[str] = frozenset()

    def moves(self) -> Iterator[Move]:
        """What a program can do: return from a callback it is in, run what is there, load a plug-in once."""
        for index, thread in enumerate(self.threads):
            for action in ACTIONS:
                if (
                    (action == "return" and not thread.callbacks)
                    or (action == "execute" and not self.fetched)
                    or (action == "load" and self.has_plugin)
                    or (action == "call late" and not self.has_plugin)
                ):
                    continue
                yield index, action

    def after(self, move: Move) -> tuple[Reading | None, str]:
        """The state afterwards, None after the end of the process; and the outcome."""
        index, action = move
        if action in {"open", "close", "call", "call unlisted", "call late", "return"}:
            return self._switched(index, action)
        match action:
            case "write":
                if self.is_native and not self.threads[index].may_write:
                    return self, "signal SIGBUS"
                value = index + 1
                return replace(
                    self, stored=value, fetched=self.fetched if self.is_native else value
                ), "ok"
            case "execute":
                if self.threads[index].may_write:
                    return self, "signal SIGBUS"
                is_stale = self.fetched != self.stored
                return self, f"{'may ' if is_stale else ''}ok {self.fetched}"
            case "invalidate":
                return replace(self, fetched=self.stored), "ok"
            case "load":
                return replace(self, has_plugin=True), "ok"
        if not self.is_native:
            return self, "ok"
        if self.mode != "open":
            return None, "kill F2" if self.is_late else "kill F3"
        late = {"late"} if self.has_plugin else set()
        return replace(self, mode="frozen", listed=self.listed | late), "ok"

    def _switched(self, index: int, action: str) -> tuple[Reading | None, str]:
        """What moves the thread's state: the toggle, and both ends of the callback call."""
        thread = self.threads[index]
        if action == "return":
            return self._with(index, ThreadReading(callbacks=thread.callbacks - 1)), "ok 0"
        if action in {"open", "close"}:
            if not self.is_native:
                return self, "ok"
            if self.mode != "off":
                return None, "kill C9"
            return self._with(index, replace(thread, may_write=action == "open")), "ok"
        inside = ThreadReading(may_write=self.is_native, callbacks=thread.callbacks + 1)
        if self.is_native and self.mode == "open":
            return None, "kill F1"
        if self.is_native and self.mode == "frozen":
            name = {"call": "listed", "call unlisted": "unlisted", "call late": "late"}[action]
            if name not in self.listed:
                # Not in any image; or in one that was loaded too late.
                too_late = "F5" if self.is_late else "C18"
                return None, f"kill {too_late if name == 'late' else 'C8'}"
        return self._with(index, inside), "ok"

    def _with(self, index: int, thread: ThreadReading) -> Reading:
        main, worker = self.threads
        return replace(self, threads=(thread, worker) if index == 0 else (main, thread))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A process to explore: its profile, how its code gets its first value, and the reading of that."""

    name: str
    profile: Profile
    prelude: str
    start: Reading

    @cached_property
    def scenario(self) -> Scenario:
        """The process, and the prelude's steps."""
        (found,) = parse_scenarios(
            f"{_HEAD}image main: listed\n{_PROCESS}{self.prelude}thread worker\n", file=self.name
        )
        return found


_HEAD: Final = "scenario interleaving\nabout Two threads.\nrules T1\n"
_PROCESS: Final = "map code 1 rwx jit\nhandler SIGBUS catch\n"
_BY_TOGGLE: Final = f"toggle 0\nwrite code {FIRST_VALUE}\ntoggle 1\ninvalidate code\n"
_BY_CALLBACK: Final = f"callback listed\nwrite code {FIRST_VALUE}\nreturn 0\ninvalidate code\n"


def _profile(name: str, *keys: str) -> Profile:
    return profile(name).with_(entitlements=Entitlements.of(dict.fromkeys(keys, True)))


SETTINGS: Final = (
    Setting(
        name="toggling",
        profile=_profile("macos-arm64"),
        prelude=_BY_TOGGLE,
        start=Reading(is_native=True, mode="off", stored=FIRST_VALUE, fetched=FIRST_VALUE),
    ),
    Setting(
        name="listed",
        profile=_profile("macos-arm64", JIT_WRITE_ALLOWLIST),
        prelude=_BY_CALLBACK,
        start=Reading(
            is_native=True,
            mode="frozen",
            stored=FIRST_VALUE,
            fetched=FIRST_VALUE,
            listed=frozenset({"listed"}),
        ),
    ),
    Setting(
        name="late",
        profile=_profile("macos-arm64", JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE),
        # Nothing can be written before the freeze.
        prelude="",
        start=Reading(
            is_native=True,
            is_late=True,
            mode="open",
            stored=0,
            fetched=0,
            listed=frozenset({"listed"}),
        ),
    ),
    Setting(
        name="x86_64",
        profile=_profile("macos-x86_64", JIT_WRITE_ALLOWLIST),
        prelude=_BY_TOGGLE,
        start=Reading(is_native=False, mode="off", stored=FIRST_VALUE, fetched=FIRST_VALUE),
    ),
)


# ---- Exploring ------------------------------------------------------------------------------------------------------------------

Node = tuple[Reading, int, int]


def graph(start: Reading) -> dict[Node, dict[Move, tuple[Node | None, str]]]:
    """Every state with the steps that are left to both threads, and where each step leads.  Breadth first."""
    root = (start, STEPS, STEPS)
    found: dict[Node, dict[Move, tuple[Node | None, str]]] = {}
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        if node in found:
            continue
        state, *left = node
        moves = found[node] = {}
        for index, action in state.moves():
            if not left[index]:
                continue
            following, outcome = state.after((index, action))
            rest = (left[0] - (index == 0), left[1] - (index == 1))
            target = None if following is None else (following, *rest)
            moves[index, action] = (target, outcome)
            if target is not None:
                waiting.append(target)
    return found


def walks(start: Reading) -> Iterator[tuple[Walk, tuple[str, ...]]]:
    """Sequences of at most five steps a thread, and their outcomes, that together take every step from every state."""
    nodes = graph(start)
    ways: dict[Node, Walk] = {(start, STEPS, STEPS): ()}
    waiting: dict[tuple[Reading, Move], Node] = {}
    for node, moves in nodes.items():
        for move, (target, _) in moves.items():
            waiting.setdefault((node[0], move), node)
            if target is not None:
                ways.setdefault(target, (*ways[node], move))
    while waiting:
        (_, move), node = next(iter(waiting.items()))
        walk = [*ways[node], move]
        waiting = _walk_on(nodes, waiting, node, walk)
        yield tuple(walk), outcomes(start, walk)


def _walk_on(
    nodes: dict[Node, dict[Move, tuple[Node | None, str]]],
    waiting: dict[tuple[Reading, Move], Node],
    node: Node,
    walk: list[Move],
) -> dict[tuple[Reading, Move], Node]:
    """Take the walk's last step, then further ones that nobody has taken yet, as far as there are any."""
    move: Move | None = walk[-1]
    while move is not None:
        waiting.pop((node[0], move), None)
        target, _ = nodes[node][move]
        if target is None:
            break
        node = target
        move = next((each for each in nodes[node] if (node[0], each) in waiting), None)
        if move is not None:
            walk.append(move)
    return waiting


def followed(start: Reading, walk: Iterable[Move]) -> Iterator[tuple[Reading, Move, str]]:
    """Each step with the state that it is taken from and its outcome, up to the end of the process."""
    state: Reading | None = start
    for move in walk:
        if state is None:
            return
        following, outcome = state.after(move)
        yield state, move, outcome
        state = following


def outcomes(start: Reading, walk: Iterable[Move]) -> tuple[str, ...]:
    """What the reading says of each step."""
    return tuple(outcome for _, _, outcome in followed(start, walk))


# Programs of five steps as ports write them, right and wrong.
PROGRAMS: Final = {
    "toggling": (
        ("open", "write", "close", "invalidate", "execute"),
        ("open", "write", "invalidate", "execute", "close"),
        ("call", "write", "return", "invalidate", "execute"),
        ("open", "call", "write", "return", "write"),
        ("execute", "write", "open", "execute", "close"),
    ),
    "listed": (
        ("call", "write", "return", "invalidate", "execute"),
        ("call", "call", "write", "return", "write"),
        ("execute", "write", "call", "execute", "return"),
        ("load", "call", "write", "return", "execute"),
        ("call", "write", "return", "execute", "open"),
    ),
    "late": (
        ("freeze", "call", "write", "return", "invalidate"),
        ("load", "freeze", "call late", "write", "return"),
        ("load", "call late", "write", "return", "execute"),
        ("write", "call", "write", "return", "invalidate"),
    ),
    "x86_64": (
        ("open", "write", "close", "invalidate", "execute"),
        ("call unlisted", "write", "execute", "return", "freeze"),
    ),
}


def merges(setting: Setting) -> Iterator[tuple[Walk, tuple[str, ...]]]:
    """Every interleaving of every two of the setting's programs, up to the end of the process."""
    for first, second in itertools.product(PROGRAMS[setting.name], repeat=2):
        for places in itertools.combinations(range(2 * STEPS), STEPS):
            steps = (iter(first), iter(second))
            order = (0 if place in places else 1 for place in range(2 * STEPS))
            walk = tuple((index, next(steps[index])) for index in order)
            if _is_possible(setting.start, walk):
                yield walk, outcomes(setting.start, walk)


def _is_possible(start: Reading, walk: Walk) -> bool:
    """Whether each step is one that a program can take where it stands."""
    return all(move in state.moves() for state, move, _ in followed(start, walk))


# ---- Replaying ------------------------------------------------------------------------------------------------------------------


def moves_as_steps() -> dict[Move, Step]:
    """Each move as a step of the scenarios' language."""
    moves = [(index, action) for index in range(len(THREADS)) for action in ACTIONS]
    lines = [
        f"@{THREADS[index]} " * (index > 0) + ACTIONS[action].format(value=index + 1)
        for index, action in moves
    ]
    text = f"{_HEAD}map code 1 rwx jit\nthread worker\n"
    (found,) = parse_scenarios(text + "\n".join(lines) + "\n", file="moves")
    return dict(zip(moves, (each.step for each in found.steps[2:]), strict=True))


STEP_OF: Final = moves_as_steps()


def disagreement(
    setting: Setting, walk: Walk, expected: tuple[str, ...], machine: Machine
) -> str | None:
    """Where a machine comes to something else than the reading: empty if nowhere, None if it refuses the walk."""
    moves = (ExpectedStep(step=STEP_OF[move]) for move in walk)
    scenario = replace(setting.scenario, steps=(*setting.scenario.steps, *moves))
    if machine.refusal(setting.profile, scenario):
        return None
    started = machine.start(setting.profile, scenario)
    said = [started, *(machine.perform(each.step) for each in setting.scenario.steps)]
    if any(each.kind is not OutcomeKind.OK for each in said):
        return f"the prelude: {', '.join(map(str, said))}"
    for index, (move, wanted) in enumerate(zip(walk, expected, strict=False)):
        outcome = machine.perform(STEP_OF[move])
        if not _is(outcome, wanted, is_exact=machine.is_exact):
            return f"step {index} of {walk}: expected {wanted}, got {outcome}"
    if len(expected) < len(walk):
        ended = machine.perform(STEP_OF[walk[len(expected)]])
        return "" if ended.kind is OutcomeKind.DEAD else f"after the end of {walk}: {ended}"
    return ""


def _is(outcome: Outcome, wanted: str, *, is_exact: bool) -> bool:
    """Whether an outcome is the reading's.  A machine that is not exact may run new code for stale, and kill without a rule."""
    if outcome.kind is OutcomeKind.OK:
        said = "ok" if outcome.value is None else f"ok {outcome.value}"
        is_stale = wanted.startswith("may ")
        return said == wanted.removeprefix("may ") or (is_stale and not is_exact)
    if outcome.kind is OutcomeKind.KILL:
        return wanted == f"kill {outcome.rule}" or (
            wanted.startswith("kill ") and not outcome.rule and not is_exact
        )
    return wanted == f"{outcome.kind.value} {outcome.name}"
