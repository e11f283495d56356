"""The writer reads the caller's bytes once: memory that another thread changes all the time never gets an unchecked instruction in.

The other thread is published code that flips two bytes between two nops and a system call, without the GIL: in the caller's
image, or in the memory that the application shares with the writer (the payload), which no caller of the core ever sees.
"""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.core import core_library as lib

FLIPPER = lib.LANDING + lib.code(
    # mov word [rdi], 0x050f; mov word [rdi], 0x9090; cmp byte [rsi], 0; je to the first; ret
    x86_64="66c7070f05 66c7079090 803e00 74f1 c3",
    # movz, movk w2 with svc; movz, movk w3 with nop; str w2, [x0]; str w3, [x0]; ldrb w4, [x1]; cbz w4 to the stores; ret
    aarch64="52800022 72ba8002 528403e3 72baa063 b9000002 b9000003 39400024 34ffffa4 d65f03c0",
)

# Of the payload: the entries, here one offset, come before the code.
ENTRY_BYTES, RULE_ENTRY = 4, 3
# More than asked for is published until both outcomes were met: on a busy machine the other thread may come late.
PATIENCE = 20


@pytest.mark.parametrize("attacked", ["image", "payload's code", "payload's entry"])
@pytest.mark.parametrize("size", [64, 4096])
def test_memory_that_changes_never_gets_an_unchecked_instruction_in(
    core_directory: Path, request: pytest.FixtureRequest, size: int, attacked: str
) -> None:
    core: Any = lib.Core(core_directory)
    assert core.open_region() == lib.OK
    status, arena = core.open_arena(1 << 20)
    assert status == lib.OK
    status, _, flipper, _ = core.publish(arena, FLIPPER)
    assert status == lib.OK
    accepted = lib.nops(size)
    buffer = ctypes.create_string_buffer(accepted, size)
    # Just before the return: the longest way from the first byte that is read.
    place = size - len(lib.SYSTEM_CALL + lib.RETURN)
    stop = ctypes.c_uint8(0)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(flipper)
    target = {
        "image": ctypes.addressof(buffer) + place,
        "payload's code": payload_address() + ENTRY_BYTES + place,
        "payload's entry": payload_address(),
    }[attacked]
    thread = threading.Thread(target=function, args=(target, ctypes.addressof(stop)))
    thread.start()
    seen = {lib.OK: 0, lib.REJECTED: 0}
    wanted: int = request.config.getoption("--publishes")
    is_met = False
    try:
        for number in range(PATIENCE * wanted):
            # An entry that changes all the time is hardly ever a good one.
            is_met = seen[lib.REJECTED] > 0 and (seen[lib.OK] > 0 or attacked == "payload's entry")
            if number >= wanted and is_met:
                break
            status, code, address, verdict = _publish(core, arena, buffer, size)
            seen[status] += 1
            if status == lib.OK:
                assert ctypes.string_at(address, size) == accepted
                assert core.retire(code) == lib.OK
            elif attacked == "payload's entry":
                assert verdict.rule == RULE_ENTRY
            else:
                assert (verdict.rule, verdict.offset) in {(12, place), (10, place), (10, place + 1)}
    finally:
        stop.value = 1
        thread.join()
        core.close_arena(arena)

    # Else nothing was tested.
    assert is_met, seen


def payload_address() -> int:
    """Where this process has mapped what it shares with its writer."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if "memfd:interlock-payload" in line:
            return int(line.split("-")[0], 16)
    raise AssertionError("there is no payload")


def _publish(core: Any, arena: int, buffer: Any, size: int) -> tuple[int, int, int, Any]:
    """il_publish straight from the buffer that changes, without a copy on our side."""
    entries = (ctypes.c_uint32 * 1)(0)
    image = lib.Image(
        arch=lib.ARCH,
        code_bytes=size,
        entry_count=1,
        code=ctypes.addressof(buffer),
        entries=ctypes.addressof(entries),
    )
    code, address, verdict = ctypes.c_uint64(), ctypes.c_uint64(), lib.Verdict()
    status = core.library.il_publish(
        arena,
        ctypes.byref(image),
        ctypes.byref(code),
        ctypes.byref(address),
        ctypes.byref(verdict),
    )
    return status, code.value, address.value, verdict
