"""The macOS code path of the core, as it is cross-built, on the modelled Mac: what it does, and what the Mac does when a rule is broken."""

from __future__ import annotations

import importlib.util
import struct
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")

from interlock import contract
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.threads import JitState
from interlock.mac import Program, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALLOWLIST = contract.profile("macos-arm64-allowlist")
LATE = ALLOWLIST.with_(
    entitlements=ALLOWLIST.entitlements.with_key(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
)
OK, REJECTED, TRAPPED, NO_MEMORY, UNSUPPORTED = 0, 1, 2, 4, 7  # il_status
BTI_C, RETURN, SYSTEM_CALL = 0xD503245F, 0xD65F03C0, 0xD4000001
BREAK_UNREACHABLE = 0xD4200000 | (0x5500 | 1) << 5
LOOP = 0x14000000
ARENA_BYTES = 1 << 20


@pytest.fixture(scope="session")
def library(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = repository / "core/build.py"
    spec = importlib.util.spec_from_file_location("core_build_modelled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (made,) = module.build_modelled(tmp_path_factory.mktemp("modelled"))
    data: bytes = made.read_bytes()
    return data


class Host:
    """The few calls of a program that publishes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.out = program.allocate(16)
        self.verdict = program.allocate(160)

    def open(self) -> int:
        return self.program.call("il_region_open", self.program.put(b"/none\0"))

    def open_arena(self) -> int:
        arena = self.program.allocate(8)
        assert self.program.call("il_arena_open", 0, 0, 0, ARENA_BYTES, arena) == OK
        return self.program.read_u64(arena)

    def publish(self, arena: int, *words: int) -> int:
        put, code = self.program.put, struct.pack(f"<{len(words)}I", *words)
        image = struct.pack("<6I5Q", 2, len(code), 0, 1, 0, 0, put(code), 0, put(bytes(4)), 0, 0)
        return self.program.call(
            "il_publish", arena, put(image), self.out, self.out + 8, self.verdict
        )

    @property
    def address(self) -> int:
        return self.program.read_u64(self.out + 8)

    def failure(self) -> tuple[str, int]:
        at = self.program.allocate(16)
        self.program.call("il_last_failure", at)
        (number,) = struct.unpack("<i", self.program.read(at + 8, 4))
        return self.program.text(self.program.read_u64(at)), number

    def call_guarded(self, address: int) -> tuple[int, int, int]:
        """`il_call` of a native function: status, trap kind, result."""
        program = self.program
        execution = program.put(struct.pack("<4Q8B", (1 << 64) - 1, 0, 0, 0, 0, 1, *bytes(6)))
        funcref = program.put(struct.pack("<3Q", address, 1, 0))
        registers, trap = program.allocate(152), program.allocate(16)
        status = program.call("il_call", execution, funcref, registers, trap)
        (kind,) = struct.unpack("<I", program.read(trap + 8, 4))
        return status, kind, program.read_u64(registers)


def returning(value: int) -> tuple[int, int, int]:
    return BTI_C, 0x52800000 | value << 5, RETURN


def published(library: bytes, *words: int, profile: contract.Profile = ALLOWLIST) -> Host:
    host = Host(Program(profile, library))
    assert host.open() == OK
    assert host.publish(host.open_arena(), *words) == OK
    return host


def events(host: Host) -> list[str]:
    return [f"{each.what}: {each.outcome}" for each in host.program.mac.timeline]


# ---- What it does ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["macos-arm64", "macos-arm64-hardened", "macos-arm64-allowlist"])
def test_published_code_runs_under_every_profile_of_apple_silicon(
    library: bytes, name: str
) -> None:
    host = published(library, *returning(42), profile=contract.profile(name))

    assert host.program.call_address(host.address) == 42
    assert host.call_guarded(host.address) == (OK, 0, 42)


def test_callback_is_found_in_the_library_as_it_is_built(library: bytes) -> None:
    host = published(library, *returning(1))

    (callback,) = host.program.library.image.listed
    calls = [each for each in events(host) if "jit_write_with_callback" in each]
    assert set(calls) == {f"pthread_jit_write_with_callback_np({callback:#x}): ok"}


def test_only_the_published_slot_is_synchronised_after_the_callback_returned(
    library: bytes,
) -> None:
    host = published(library, *returning(1))

    last = [each.partition("(")[0] for each in events(host)][-5:]
    assert last == [
        "pthread_jit_write_with_callback_np",
        "the callback returned 0: ok 0",
        "mprotect",
        "mprotect",
        "sys_icache_invalidate",
    ]
    assert events(host)[-1] == f"sys_icache_invalidate({host.address:#x}, 64): ok"


def test_region_and_writer_are_closed_at_rest(library: bytes) -> None:
    host = published(library, *returning(1))
    program = host.program

    assert program.thread.model.state is JitState.RX
    for name in ("code", "constants"):
        at = host.address + (64 << 20 if name == "constants" else 0)
        fault = program.process.store_fault(program.thread.model, at)
        assert fault is not None, name
        assert fault.name == "SIGBUS"


def test_rejected_code_leaves_no_byte_behind(library: bytes) -> None:
    host = published(library, *returning(1))
    before = host.program.read(host.address, 4096)

    status = host.publish(host.open_arena(), BTI_C, SYSTEM_CALL, RETURN)

    (rule, offset) = struct.unpack("<II", host.program.read(host.verdict, 8))
    assert (status, offset) == (REJECTED, 4)
    assert rule != 0
    assert host.program.read(host.address, 4096) == before
    assert host.publish(host.open_arena(), *returning(2)) == OK


def test_retired_code_traps(library: bytes) -> None:
    host = published(library, *returning(42))
    address = host.address

    assert host.program.call("il_retire", host.program.read_u64(host.out)) == OK

    assert host.program.call("il_traps_install") == OK
    assert host.call_guarded(address)[:2] == (TRAPPED, 13)


def test_traps_leave_by_a_handler_that_changes_its_context(library: bytes) -> None:
    host = published(library, BTI_C, BREAK_UNREACHABLE)
    assert host.program.call("il_traps_install") == OK

    assert host.call_guarded(host.address)[:2] == (TRAPPED, 1)
    assert host.program.thread.model.state is JitState.RX


def test_load_outside_a_memory_is_a_fault_of_the_guest(library: bytes) -> None:
    host = published(library, BTI_C, 0xD2800000, 0xF9400000, RETURN)  # mov x0, 0; ldr x0, [x0]
    assert host.program.call("il_traps_install") == OK

    status, kind, _ = host.call_guarded(host.address)

    assert status == TRAPPED
    assert kind != 0


def test_deadline_ends_an_endless_loop(library: bytes) -> None:
    """A thread of the core's waits in a kernel queue, and sends the signal that interrupts."""
    host = published(library, BTI_C, LOOP)
    assert host.program.call("il_traps_install") == OK
    assert host.program.call("il_deadline_set", 3_000_000) == OK

    assert host.call_guarded(host.address)[:2] == (TRAPPED, 11)
    assert host.program.call("il_deadline_set", 0) == OK


def test_forked_child_runs_what_is_published(library: bytes) -> None:
    host = published(library, *returning(42))
    address = host.address

    host.program.thread = host.program.fork()
    host.program.thread.model.toggle(is_protected=True)  # question 4: its state is unknown

    assert host.program.call_address(address) == 42


def test_forked_child_cannot_have_a_region_where_one_is_the_limit(library: bytes) -> None:
    host = published(library, *returning(42))

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
    library: bytes, relist: Callable[[tuple[int, ...]], tuple[int, ...]], rule: str
) -> None:
    host = Host(Program(ALLOWLIST, library, relist=relist))

    assert _kill(host) == rule
    assert host.program.thread.model.state is JitState.RX


def test_list_is_not_asked_for_without_the_entitlement(library: bytes) -> None:
    hardened = contract.profile("macos-arm64-hardened")
    host = Host(Program(hardened, library, relist=lambda _words: ()))

    assert host.open() == OK
    assert host.publish(host.open_arena(), *returning(3)) == OK


def test_late_list_counts_once_it_is_frozen(library: bytes) -> None:
    host = published(library, *returning(42), profile=LATE)

    assert host.program.call_address(host.address) == 42


def test_writing_before_freezing_kills_and_leaves_rw_behind(library: bytes) -> None:
    host = Host(Program(LATE, library, is_frozen=False))

    assert _kill(host) == "F1"
    assert host.program.thread.model.state is JitState.RW


def test_code_without_an_invalidation_does_not_run(library: bytes) -> None:
    host = Host(Program(ALLOWLIST, library, is_synchronising=False))
    assert host.open() == OK
    assert host.publish(host.open_arena(), *returning(42)) == OK

    with pytest.raises(StoppedError) as stopped:
        host.program.call_address(host.address)

    assert str(stopped.value) == "signal SIGILL I1"


def test_region_needs_the_entitlement(library: bytes) -> None:
    bare = ALLOWLIST.with_(entitlements=ALLOWLIST.entitlements.without_key(ALLOW_JIT))
    host = Host(Program(bare, library))

    assert host.open() == UNSUPPORTED
    assert host.failure() == ("mmap with MAP_JIT: the entitlement allow-jit is missing?", 22)


def test_region_needs_an_address_that_is_taken(library: bytes) -> None:
    """Where hints are ignored (A4) the core says so, and leaves nothing mapped."""
    host = Host(Program(ALLOWLIST, library, switches={}))
    before = len(host.program.process.memory.map.entries)

    assert host.open() == NO_MEMORY

    assert host.failure()[0] == "mmap with MAP_JIT at the place that was asked for"
    assert not any(each.is_jit for each in host.program.process.memory.map.entries)
    assert (
        len(host.program.process.memory.map.entries) <= before + 3
    )  # the writer's state, cut out of the library's


def test_thread_that_writes_cannot_run_what_is_published(library: bytes) -> None:
    host = published(library, *returning(42), profile=contract.profile("macos-arm64-hardened"))
    host.program.call_system("pthread_jit_write_protect_np", 0)

    with pytest.raises(StoppedError) as stopped:
        host.program.call_address(host.address)

    assert str(stopped.value) == "signal SIGBUS T7"
