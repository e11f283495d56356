"""What the model does that no scenario can see: states after a kill, cut entries, rules that are not decoration."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock import contract
from interlock.contract import Entitlements, ModelMachine, OutcomeKind, Process, play, profile
from interlock.contract.allow_list import Image
from interlock.contract.entitlements import JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.memory import MAP_FAILED, MapRequest
from interlock.contract.memory_map import Protection
from interlock.contract.outcome import Rulebook
from interlock.contract.threads import JitState, Thread
from interlock.errors import InternalError

if TYPE_CHECKING:
    from tests.scenarios.test_scenarios import Case

LISTED = 0x1000
_PAGE = 16384
_HOLDS = re.compile(r'holds\("(\w+)"\)')


def _listed_process(*keys: str) -> tuple[Process, Thread]:
    granted = Entitlements.of(dict.fromkeys((JIT_WRITE_ALLOWLIST, *keys), True))
    process = Process(
        profile("macos-arm64").with_(entitlements=granted),
        images=[Image(name="main", words=(LISTED, 0))],
    )
    assert process.start().kind is OutcomeKind.OK
    return process, Thread(name="main")


def test_unlisted_callback_is_killed_in_rx_again() -> None:
    process, thread = _listed_process()

    outcome = process.enter_callback(thread, LISTED + 64)

    assert (outcome.rule, outcome.name, thread.state) == ("C8", "SIGTRAP", JitState.RX)
    assert process.is_dead


def test_write_before_freezing_is_killed_in_rw() -> None:
    process, thread = _listed_process(JIT_WRITE_ALLOWLIST_FREEZE_LATE)

    outcome = process.enter_callback(thread, LISTED)

    assert (outcome.rule, thread.state) == ("F1", JitState.RW)


def test_toggle_under_the_list_is_killed_in_rx() -> None:
    process, thread = _listed_process()

    outcome = process.write_protect(thread, 0)

    assert (outcome.rule, thread.state) == ("C9", JitState.RX)


def test_callback_runs_in_rw() -> None:
    process, thread = _listed_process()

    process.enter_callback(thread, LISTED)
    inside = thread.state
    process.return_from_callback(thread, 0)

    assert (inside, thread.state) == (JitState.RW, JitState.RX)


def test_messages_are_apples() -> None:
    client = "BUG IN CLIENT OF LIBPTHREAD: "
    found = {
        effect.message.removeprefix(client)
        for rule in contract.rules()
        for effect in rule.effects
        if effect.message.startswith(client)
    }

    assert found == {
        "Too many pthread jit write callbacks",
        "pthread_jit_write_freeze_callbacks_np() already called",
        "pthread_jit_write_freeze_callbacks_np() called but freeze-late entitlement is missing",
        "pthread_jit_write_protect_np() disallowed by allowlist",
        "pthread_jit_write_with_callback_np() callback not in allowlist",
        "pthread_jit_write_with_callback_np() called before pthread_jit_write_freeze_callbacks_np()",
    }


def test_rule_without_the_effect_is_a_bug_of_ours() -> None:
    book = Rulebook(profile("macos-arm64"), {})

    for ask in (book.errno, book.kill, book.signal):
        with pytest.raises(InternalError, match="C1 has no"):
            ask("C1")


def _consulted() -> list[str]:
    """The rules that the model's source asks about."""
    home = Path(contract.__file__).parent
    files = [home / f"{name}.py" for name in ("memory", "process")]
    return sorted({each for file in files for each in _HOLDS.findall(file.read_text("utf-8"))})


def test_rules_are_asked_about() -> None:
    assert {"A7", "C8", "F3", "P1", "P6", "T14", "X3", "X4"} <= set(_consulted())


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    from tests.scenarios.test_scenarios import CASES

    return CASES


@pytest.mark.parametrize("rule_id", _consulted())
def test_model_without_one_rule_fails_a_scenario(
    rule_id: str, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = Rulebook.holds
    monkeypatch.setattr(
        Rulebook, "holds", lambda self, asked: asked != rule_id and holds(self, asked)
    )

    assert any(play(scenario, process, ModelMachine()).failures for scenario, process in cases)


# ---- Memory against a page at a time -----------------------------------------------------------------------------------------

_ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("protect", "unmap", "overlay")),
        st.integers(0, 7),
        st.integers(1, 4),
        st.sampled_from((Protection.NONE, Protection.READ, Protection.READ | Protection.WRITE)),
    ),
    max_size=12,
)


@given(_ACTIONS, st.booleans())
def test_entries_agree_with_single_pages(
    actions: list[tuple[str, int, int, Protection]],
    is_jit: bool,  # noqa: FBT001
) -> None:
    memory = Process(profile("macos-arm64")).memory
    request = MapRequest(size=8 * _PAGE, protection=Protection.READ, is_jit=is_jit)
    outcome, base = memory.mmap(request)
    assert outcome.kind is OutcomeKind.OK
    pages: dict[int, Protection] = dict.fromkeys(range(8), Protection.READ)

    for action, first, count, protection in actions:
        wanted = range(first, min(first + count, 8))
        start, size = base + first * _PAGE, len(wanted) * _PAGE
        if action == "unmap":
            memory.munmap(start, size)
            for page in wanted:
                pages.pop(page, None)
        elif action == "overlay":
            memory.mmap(MapRequest(size=size, protection=protection, fixed=start))
            pages.update(dict.fromkeys(wanted, protection))
        else:
            changed = memory.mprotect(start, size, protection)
            is_whole = all(page in pages for page in wanted)
            assert (changed.kind is OutcomeKind.OK) == is_whole
            if is_whole:
                pages.update(dict.fromkeys(wanted, protection))

        for page in range(8):
            entry = memory.map.find(base + page * _PAGE)
            assert (entry.protection if entry else None) == pages.get(page)
        entries = sorted(memory.map.entries, key=lambda each: each.start)
        assert all(entry.start < entry.end for entry in entries)
        assert all(one.end <= other.start for one, other in itertools.pairwise(entries))


def test_failed_mapping_gives_map_failed_and_maps_nothing() -> None:
    memory = Process(profile("macos-arm64")).memory

    outcome, address = memory.mmap(MapRequest(size=_PAGE, protection=Protection.RWX))

    assert (str(outcome), address) == ("errno EACCES A1", MAP_FAILED)
    assert memory.map.entries == []


def test_hint_on_what_is_mapped_is_not_taken() -> None:
    memory = Process(profile("macos-x86_64")).memory
    request = MapRequest(size=4 * _PAGE, protection=Protection.READ)
    _, base = memory.mmap(request)

    for hint in (base, base + 3 * _PAGE, base - 3 * _PAGE):
        outcome, address = memory.mmap(
            MapRequest(size=4 * _PAGE, protection=Protection.READ, hint=hint)
        )
        assert (outcome.value, address == hint) == (0, False)
    for hint in (base + 4 * _PAGE, base - 4 * _PAGE):
        outcome, address = memory.mmap(
            MapRequest(size=4 * _PAGE, protection=Protection.READ, hint=hint)
        )
        assert (outcome.value, address) == (1, hint)


def test_invalidation_takes_whole_cells_of_what_is_mapped() -> None:
    process = Process(profile("macos-arm64"))
    thread = Thread(name="main")
    _, base = process.memory.mmap(MapRequest(size=_PAGE, protection=Protection.RWX, is_jit=True))
    thread.toggle(is_protected=False)
    process.store(thread, base, 64, 5)
    thread.toggle(is_protected=True)

    # 31 bytes from the ninth: one whole cell, the second.
    process.invalidate(thread, base + 8, 31)
    process.invalidate(thread, base + _PAGE, _PAGE)

    entry = process.memory.map.find(base)
    assert entry is not None
    assert entry.contents.instructions == {16: 5}


def test_forked_child_shares_shared_memory_only() -> None:
    process = Process(profile("macos-arm64"))
    thread = Thread(name="main")
    readable = Protection.READ | Protection.WRITE
    _, private = process.memory.mmap(MapRequest(size=_PAGE, protection=readable))
    _, shared = process.memory.mmap(
        MapRequest(size=_PAGE, protection=readable, is_private=False, is_shared=True)
    )

    child, only = process.fork(thread, "child")
    for address in (private, shared):
        child.store(only, address, 16, 5)

    assert process.load(thread, private).value == 0
    assert process.load(thread, shared).value == 5
