"""The macOS code path of the core, as it is cross-built, on the modelled Mac: what it does, and what the Mac does when a rule is broken."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")

from interlock import contract
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.threads import JitState
from interlock.limits import CODE_VIEW_BYTES
from interlock.mac import Program, StoppedError
from tests.core.modelled_host import (
    ALLOWLIST,
    ARENA_BYTES,
    BREAK_UNREACHABLE,
    BTI_C,
    LOOP,
    OK,
    REJECTED,
    RETURN,
    SYSTEM_CALL,
    TRAPPED,
    UNSUPPORTED,
    Host,
    events,
    published,
    returning,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LATE = ALLOWLIST.with_(
    entitlements=ALLOWLIST.entitlements.with_key(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
)
# ---- What it does ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["macos-arm64", "macos-arm64-hardened", "macos-arm64-allowlist"])
def test_published_code_runs_under_every_profile_of_apple_silicon(
    modelled_library: bytes, name: str
) -> None:
    host = published(modelled_library, *returning(42), profile=contract.profile(name))

    assert host.program.call_address(host.address) == 42
    assert host.call_guarded(host.address) == (OK, 0, 42)


def test_callback_is_found_in_the_library_as_it_is_built(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))

    (callback,) = host.program.library.image.listed
    calls = [each for each in events(host) if "jit_write_with_callback" in each]
    assert set(calls) == {f"pthread_jit_write_with_callback_np({callback:#x}): ok"}


def test_only_the_published_slot_is_synchronised_after_the_callback_returned(
    modelled_library: bytes,
) -> None:
    host = published(modelled_library, *returning(1))

    last = [each.partition("(")[0] for each in events(host)][-5:]
    assert last == [
        "pthread_jit_write_with_callback_np",
        "the callback returned 0: ok 0",
        "mprotect",
        "mprotect",
        "sys_icache_invalidate",
    ]
    assert events(host)[-1] == f"sys_icache_invalidate({host.address:#x}, 64): ok"


def test_region_and_writer_are_closed_at_rest(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))
    program = host.program

    assert program.thread.model.state is JitState.RX
    for name in ("code", "constants"):
        at = host.address + (64 << 20 if name == "constants" else 0)
        fault = program.process.store_fault(program.thread.model, at)
        assert fault is not None, name
        assert fault.name == "SIGBUS"


def test_rejected_code_leaves_no_byte_behind(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))
    before = host.program.read(host.address, 4096)

    status = host.publish(host.open_arena(), BTI_C, SYSTEM_CALL, RETURN)

    (rule, offset) = struct.unpack("<II", host.program.read(host.verdict, 8))
    assert (status, offset) == (REJECTED, 4)
    assert rule != 0
    assert host.program.read(host.address, 4096) == before
    assert host.publish(host.open_arena(), *returning(2)) == OK


def test_retired_code_traps(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42))
    address = host.address

    assert host.program.call("il_retire", host.program.read_u64(host.out)) == OK

    assert host.program.call("il_traps_install") == OK
    assert host.call_guarded(address)[:2] == (TRAPPED, 13)


def test_traps_leave_by_a_handler_that_changes_its_context(modelled_library: bytes) -> None:
    host = published(modelled_library, BTI_C, BREAK_UNREACHABLE)
    assert host.program.call("il_traps_install") == OK

    assert host.call_guarded(host.address)[:2] == (TRAPPED, 1)
    assert host.program.thread.model.state is JitState.RX


def test_load_outside_a_memory_is_a_fault_of_the_guest(modelled_library: bytes) -> None:
    host = published(
        modelled_library, BTI_C, 0xD2800000, 0xF9400000, RETURN
    )  # mov x0, 0; ldr x0, [x0]
    assert host.program.call("il_traps_install") == OK

    status, kind, _ = host.call_guarded(host.address)

    assert status == TRAPPED
    assert kind != 0


def test_deadline_ends_an_endless_loop(modelled_library: bytes) -> None:
    """A thread of the core's waits in a kernel queue, and sends the signal that interrupts."""
    host = published(modelled_library, BTI_C, LOOP)
    assert host.program.call("il_traps_install") == OK
    assert host.program.call("il_deadline_set", 3_000_000) == OK

    assert host.call_guarded(host.address)[:2] == (TRAPPED, 11)
    assert host.program.call("il_deadline_set", 0) == OK


def test_forked_child_runs_what_is_published(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42))
    address = host.address

    host.program.thread = host.program.fork()
    host.program.thread.model.toggle(is_protected=True)  # question 4: its state is unknown

    assert host.program.call_address(address) == 42


def test_forked_child_cannot_have_a_region_where_one_is_the_limit(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42))

    host.program.thread = host.program.fork()

    arena = host.program.allocate(8)
    assert host.program.call("il_arena_open", 0, 0, 0, ARENA_BYTES, arena) == UNSUPPORTED
    assert "MAP_JIT" in host.failure()[0]


# ---- What the Mac does when a rule is broken ---------------------------------------------------------------------------------


def _kill(host: Host) -> str:
    assert host.open() == OK
    arena = host.program.allocate(8)
    with pytest.raises(StoppedError) as stopped:
        host.program.call("il_arena_open", 0, 0, 0, ARENA_BYTES, arena)
    assert stopped.value.outcome.kind is contract.OutcomeKind.KILL
    assert host.program.process.is_dead
    return stopped.value.outcome.rule


@pytest.mark.parametrize(
    ("relist", "rule"),
    [
        pytest.param(lambda _words: (), "C8", id="no list"),
        pytest.param(lambda words: (0x1234, 0, *words), "C11", id="a second list"),
        pytest.param(lambda words: (words[0] + 4, 0), "C8", id="another address"),
    ],
)
def test_list_without_the_callback_kills(
    modelled_library: bytes, relist: Callable[[tuple[int, ...]], tuple[int, ...]], rule: str
) -> None:
    host = Host(Program(ALLOWLIST, modelled_library, relist=relist))

    assert _kill(host) == rule
    assert host.program.thread.model.state is JitState.RX


def test_list_is_not_asked_for_without_the_entitlement(modelled_library: bytes) -> None:
    hardened = contract.profile("macos-arm64-hardened")
    host = Host(Program(hardened, modelled_library, relist=lambda _words: ()))

    assert host.open() == OK
    assert host.publish(host.open_arena(), *returning(3)) == OK


def test_late_list_counts_once_it_is_frozen(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42), profile=LATE)

    assert host.program.call_address(host.address) == 42


def test_writing_before_freezing_kills_and_leaves_rw_behind(modelled_library: bytes) -> None:
    host = Host(Program(LATE, modelled_library, is_frozen=False))

    assert _kill(host) == "F1"
    assert host.program.thread.model.state is JitState.RW


def test_code_without_an_invalidation_does_not_run(modelled_library: bytes) -> None:
    host = Host(Program(ALLOWLIST, modelled_library, is_synchronising=False))
    assert host.open() == OK
    assert host.publish(host.open_arena(), *returning(42)) == OK

    with pytest.raises(StoppedError) as stopped:
        host.program.call_address(host.address)

    assert str(stopped.value) == "signal SIGILL I1"


def test_region_needs_the_entitlement(modelled_library: bytes) -> None:
    bare = ALLOWLIST.with_(entitlements=ALLOWLIST.entitlements.without_key(ALLOW_JIT))
    host = Host(Program(bare, modelled_library))

    assert host.open() == UNSUPPORTED
    assert host.failure() == ("mmap with MAP_JIT: the entitlement allow-jit is missing?", 22)


@pytest.mark.parametrize("answer", ["ignored", "honoured"])
def test_region_asks_for_no_address(modelled_library: bytes, answer: str) -> None:
    """Whether macOS takes a hint for MAP_JIT memory (A4) makes no difference to the core."""
    host = Host(Program(ALLOWLIST, modelled_library, switches={"address-hint": answer}))

    assert host.open() == OK

    regions = [each for each in host.program.process.memory.map.entries if each.is_jit]
    assert sum(each.end - each.start for each in regions) == CODE_VIEW_BYTES


def test_thread_that_writes_cannot_run_what_is_published(modelled_library: bytes) -> None:
    host = published(
        modelled_library, *returning(42), profile=contract.profile("macos-arm64-hardened")
    )
    host.program.call_system("pthread_jit_write_protect_np", 0)

    with pytest.raises(StoppedError) as stopped:
        host.program.call_address(host.address)

    assert str(stopped.value) == "signal SIGBUS T7"
