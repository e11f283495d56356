"""The rest of the core's interface in its build for Apple silicon, on the modelled Mac: texts, limits, handles, memories."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")

from interlock.core import library as native
from interlock.mac import Program
from tests.core.modelled_host import (
    ALLOWLIST,
    ARENA_BYTES,
    INVALID_ARGUMENT,
    NO_MEMORY,
    OK,
    REJECTED,
    STALE,
    TRAPPED,
    UNSUPPORTED,
    Host,
    published,
    returning,
)

PAGE = 65536
STACK_EXHAUSTED = 10  # il_trap_kind
STATUSES, TRAPS, RULES = range(12), range(16), range(24)
WRITER_CALLBACK = 3


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("il_status_text", STATUSES), ("il_trap_text", TRAPS), ("il_rule_text", RULES)],
)
def test_texts_are_those_of_linux(modelled_library: bytes, name: str, numbers: range) -> None:
    program = Program(ALLOWLIST, modelled_library)

    texts = [program.text(program.call(name, number)) for number in numbers]

    known = [getattr(native.CORE_HELD, name)(number) for number in numbers]
    assert texts == [(each or b"").decode() for each in known]
    assert len(set(texts)) > len(numbers) // 2


def test_region_describes_itself(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))
    at = host.program.allocate(64)

    assert host.program.call("il_region_describe", at) == OK

    code, rodata, size, writer, pid = struct.unpack("<QQQIi", host.program.read(at, 32))
    assert (rodata - code, size, writer, pid) == (64 << 20, 64 << 20, WRITER_CALLBACK, 0)
    assert host.program.call("il_region_describe", 0) == INVALID_ARGUMENT
    assert host.open() == OK


def test_region_wants_an_absolute_path(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)

    assert program.call("il_region_open", 0) == INVALID_ARGUMENT
    assert program.call("il_region_open", program.put(b"writer\0")) == INVALID_ARGUMENT
    assert program.call("il_region_open", program.put(b"/" * 4096 + b"\0")) == INVALID_ARGUMENT
    assert (
        program.call("il_arena_open", 0, 0, 0, ARENA_BYTES, program.allocate(8)) == INVALID_ARGUMENT
    )


def test_hardening_is_the_signatures(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))

    assert host.program.call("il_harden") == UNSUPPORTED


def test_handles_that_were_closed_are_stale(modelled_library: bytes) -> None:
    host = Host(Program(ALLOWLIST, modelled_library))
    assert host.open() == OK
    arena = host.open_arena()
    assert host.publish(arena, *returning(1)) == OK
    code = host.program.read_u64(host.out)

    assert host.program.call("il_retire", code) == OK
    assert host.program.call("il_retire", code) == STALE
    assert host.program.call("il_arena_close", arena) == OK
    assert host.program.call("il_arena_close", arena) == STALE
    assert host.publish(arena, *returning(1)) == STALE
    assert host.program.call("il_retire", 0) == STALE


def test_arena_holds_no_more_than_its_quota(modelled_library: bytes) -> None:
    host = Host(Program(ALLOWLIST, modelled_library))
    assert host.open() == OK
    handle = host.open_arena(64)

    assert host.publish(handle, *returning(1)) == OK
    assert host.publish(handle, *returning(2)) == NO_MEMORY


def test_retired_room_is_used_again(modelled_library: bytes) -> None:
    host = Host(Program(ALLOWLIST, modelled_library))
    assert host.open() == OK
    handle = host.open_arena(64)
    assert host.publish(handle, *returning(1)) == OK
    first = host.address
    assert host.program.call("il_retire", host.program.read_u64(host.out)) == OK

    assert host.publish(handle, *returning(2)) == OK

    assert host.address == first
    assert host.program.call_address(first) == 2


def test_arguments_are_looked_at(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))
    call, put = host.program.call, host.program.put
    out = host.program.allocate(8)
    policy = put(bytes([255] * 60))

    assert call("il_arena_open", 0, 0, 0, ARENA_BYTES, 0) == INVALID_ARGUMENT
    assert call("il_arena_open", 0, 1, 0, ARENA_BYTES, out) == INVALID_ARGUMENT
    assert call("il_arena_open", put(bytes(8)), 257, 0, ARENA_BYTES, out) == INVALID_ARGUMENT
    assert call("il_arena_open", 0, 0, policy, ARENA_BYTES, out) == INVALID_ARGUMENT
    assert call("il_publish", 0, 0, host.out, host.out + 8, host.verdict) == INVALID_ARGUMENT
    image = put(struct.pack("<6I5Q", 2, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0))
    assert call("il_publish", 0, image, host.out, host.out + 8, host.verdict) == INVALID_ARGUMENT


@pytest.mark.parametrize("field", range(1, 6))
def test_counts_above_their_limits_are_rejected(modelled_library: bytes, field: int) -> None:
    host = published(modelled_library, *returning(1))
    counts = [2, 4, 0, 1, 0, 0]
    counts[field] = 1 << 30
    some = host.program.put(bytes(64))
    image = host.program.put(struct.pack("<6I5Q", *counts, *[some] * 5))

    status = host.program.call(
        "il_publish", host.open_arena(), image, host.out, host.out + 8, host.verdict
    )

    assert status == REJECTED


def test_image_for_another_processor_is_rejected(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))
    put = host.program.put
    image = put(struct.pack("<6I5Q", 1, 1, 0, 1, 0, 0, put(b"\xc3"), 0, put(bytes(4)), 0, 0))

    status = host.program.call(
        "il_publish", host.open_arena(), image, host.out, host.out + 8, host.verdict
    )

    assert status == REJECTED


def test_memory_grows_up_to_its_maximum(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)
    memory = program.allocate(32)

    assert program.call("il_memory_open", PAGE, 3 * PAGE, memory) == OK
    assert program.call("il_memory_grow", memory, 2) == 1
    assert program.call("il_memory_grow", memory, 1) == (1 << 64) - 1
    assert program.call("il_memory_grow", memory, 0) == 3
    base = program.read_u64(memory)
    program.write(base + 3 * PAGE - 8, b"the last")
    assert program.read(base + 3 * PAGE - 8, 8) == b"the last"
    assert program.call("il_memory_close", memory) == OK
    assert program.call("il_memory_close", memory) == INVALID_ARGUMENT


def test_memory_and_table_of_impossible_sizes(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)
    out = program.allocate(32)

    assert program.call("il_memory_open", 0, 0, 0) == INVALID_ARGUMENT
    assert program.call("il_memory_open", 1, PAGE, out) == INVALID_ARGUMENT
    assert program.call("il_memory_open", 0, 1, out) == INVALID_ARGUMENT
    assert program.call("il_memory_open", 2 * PAGE, PAGE, out) == INVALID_ARGUMENT
    assert program.call("il_memory_open", 0, 1 << 33, out) == INVALID_ARGUMENT
    assert program.call("il_table_open", 2, 1, out) == INVALID_ARGUMENT
    assert program.call("il_table_open", 1, 1, 0) == INVALID_ARGUMENT
    assert program.call("il_table_open", 1, 1 << 40, out) == OK
    assert program.call("il_table_close", out) == OK
    assert program.call("il_table_close", out) == INVALID_ARGUMENT


def test_calls_that_cannot_be_made(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(1))

    assert host.call_guarded(0x1000)[0] == INVALID_ARGUMENT
    assert host.call_guarded(host.address, vmctx=0)[0] == STALE
    assert host.call_guarded(host.address, stack=(0, 1))[0] == INVALID_ARGUMENT
    assert host.call_guarded(host.address, stack=(host.out, 1 << 20))[0] == INVALID_ARGUMENT
    assert host.program.call("il_is_running") & 1 == 0
    assert host.program.call("il_is_interrupted") & 1 == 0


@pytest.mark.parametrize("is_shared", [False, True])
def test_stack_of_a_call_is_what_the_embedder_gives(
    modelled_library: bytes, *, is_shared: bool
) -> None:
    """Two words fit below the call, the third one does not."""
    host = published(modelled_library, *returning(7))
    arguments = host.program.put(bytes(24))

    def call(count: int) -> tuple[int, int, int]:
        return host.call_guarded(
            host.address, stack=(arguments, count), stack_bytes_max=16, is_shared=is_shared
        )

    assert call(2) == (OK, 0, 7)
    assert call(3)[:2] == (TRAPPED, STACK_EXHAUSTED)


def test_child_publishes_where_a_second_region_is_allowed(modelled_library: bytes) -> None:
    switches = {"jit-regions": "many"}
    host = Host(Program(ALLOWLIST, modelled_library, switches=switches))
    assert host.open() == OK
    parents = host.open_arena()
    assert host.publish(parents, *returning(1)) == OK
    first = host.address

    host.program.thread = host.program.fork()

    assert host.publish(parents, *returning(2)) == STALE
    assert host.publish(host.open_arena(), *returning(3)) == OK
    assert host.address != first
    assert host.program.call_address(host.address) == 3
    assert host.program.call_address(first) == 1
