"""A program on the modelled Mac that publishes: what the tests of the core's macOS path share.  Needs Unicorn."""

from __future__ import annotations

import struct

from interlock import contract
from interlock.mac import Program

ALLOWLIST = contract.profile("macos-arm64-allowlist")
OK, REJECTED, TRAPPED, INVALID_ARGUMENT = range(4)  # il_status
NO_MEMORY, UNSUPPORTED, STALE = 4, 7, 8
BTI_C, RETURN, SYSTEM_CALL = 0xD503245F, 0xD65F03C0, 0xD4000001
BREAK_UNREACHABLE = 0xD4200000 | (0x5500 | 1) << 5
LOOP = 0x14000000
ARENA_BYTES = 1 << 20


class Host:
    """The few calls of a program that publishes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.out = program.allocate(16)
        self.verdict = program.allocate(160)

    def open(self) -> int:
        return self.program.call("il_region_open", self.program.put(b"/none\0"))

    def open_arena(self, code_bytes_max: int = ARENA_BYTES) -> int:
        arena = self.program.allocate(8)
        assert self.program.call("il_arena_open", 0, 0, 0, code_bytes_max, arena) == OK
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

    def call_guarded(
        self,
        address: int,
        argument: int = 0,
        *,
        vmctx: int = 1,
        stack: tuple[int, int] = (0, 0),
        stack_bytes_max: int = 0,
        is_shared: bool = False,
    ) -> tuple[int, int, int]:
        """`il_call` of a native function: status, trap kind, result.  stack: address and count of its arguments there."""
        program = self.program
        execution = program.put(
            struct.pack("<4Q8B", (1 << 64) - 1, 0, 0, stack_bytes_max, is_shared, 1, *bytes(6))
        )
        funcref = program.put(struct.pack("<3Q", address, vmctx, 0))
        registers = program.put(struct.pack("<19Q", argument, *bytes(15), *stack, 0))
        trap = program.allocate(16)
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
