"""Publishing: validate and write through the writer process, against a pair of mprotect calls without any check."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from benchmarks import measure, zig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import interlock

SIZES = (64, 4096)
PUBLISHES = 200
# endbr64, then `lea rax, [rdi + rsi * 8 + 0x1234]` (8 bytes), padded by nop, and ret: the mix is 5.9 bytes an instruction.
_HEAD = bytes.fromhex("f30f1efa")
_BODY = bytes.fromhex("488d84f734120000") + bytes.fromhex("4801f8")


def run(work: Path) -> list[measure.Table]:
    """One table for each size."""
    helper = zig.compile_c(
        zig.HERE / "kernels/mprotect_pair.c", work / "mprotect_pair.so", "-O2", "-fPIC", "-shared"
    )
    pair = ctypes.CDLL(str(helper)).mprotect_pair
    pair.argtypes = [ctypes.c_size_t, ctypes.c_uint32]
    pair.restype = ctypes.c_double
    return [_size(pair, size) for size in SIZES]


def machine_code(size: int) -> bytes:
    """A function of exactly `size` bytes that the code validator accepts."""
    body = _BODY * ((size - len(_HEAD) - 1) // len(_BODY))
    return _HEAD + body + b"\x90" * (size - len(_HEAD) - len(body) - 1) + b"\xc3"


def _size(pair: Callable[[int, int], float], size: int) -> measure.Table:
    import interlock

    code = machine_code(size)
    with interlock.Region(1 << 20) as region:
        image = interlock.CodeImage(target=region.target, code=code, entries={"f": 0})
        contestants = {
            "mprotect pair": lambda: pair(size, 2000),
            "Region.publish": lambda: _publish(code),
            "validator alone (validate_image)": lambda: _validate(image),
        }
        values = measure.medians(contestants, rounds=9)
    return measure.table(f"Publish {size} bytes", "mprotect pair", values)


def _publish(code: bytes) -> float:
    import interlock

    entries = {"f": 0}
    # A region of its own each time, closed behind the measurement, so that the view does not fill.
    with interlock.Region(4 << 20) as region:
        region.publish(code, entries=entries)

        def publish_all() -> None:
            for _ in range(PUBLISHES):
                region.publish(code, entries=entries)

        return measure.time_ns(publish_all) / PUBLISHES


def _validate(image: interlock.CodeImage) -> float:
    import interlock

    def validate_all() -> None:
        for _ in range(PUBLISHES):
            interlock.validate_image(image)

    return measure.time_ns(validate_all) / PUBLISHES
