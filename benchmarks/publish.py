"""Publishing: validate and write through the writer process, against a pair of mprotect calls without any check.

The mark (design.md section 10): at most two such pairs and the code validator's own time.
"""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path

from benchmarks import measure, zig

# Bytes of an image, and rounds: the largest takes most of a millisecond.
SIZES = {64: 10_000, 4096: 10_000, 256 << 10: 600}
RUNS = 3
PUBLISHES = 200
# endbr64, then `lea rax, [rdi + rsi * 8 + 0x1234]` (8 bytes), padded by nop, and ret: the mix is 5.9 bytes an instruction.
_HEAD = bytes.fromhex("f30f1efa")
_BODY = bytes.fromhex("488d84f734120000") + bytes.fromhex("4801f8")
_MARK = "the mark: two pairs and the validator"


def run(work: Path) -> list[measure.Table]:
    """For each size a table of regions used before, then one of pages that are touched for the first time."""
    from interlock.core import library

    native = Path(library.WRITER_PATH).parent
    driver = zig.compile_c(
        zig.HERE / "kernels/publish.c",
        work / "publish",
        "-O2",
        f"-I{zig.HERE.parent / 'core/include'}",
        f"-L{native}",
        "-linterlock",
        f"-Wl,-rpath,{native}",
    )
    return [
        _size(driver, size, rounds, pages=pages)
        for size, rounds in SIZES.items()
        for pages in ("warm", "fresh")
    ]


def machine_code(size: int) -> bytes:
    """A function of exactly `size` bytes that the code validator accepts."""
    body = _BODY * ((size - len(_HEAD) - 1) // len(_BODY))
    return _HEAD + body + b"\x90" * (size - len(_HEAD) - len(body) - 1) + b"\xc3"


def _size(driver: Path, size: int, rounds: int, *, pages: str) -> measure.Table:
    from interlock.core import library

    command = [str(driver), library.WRITER_PATH, str(size), str(rounds), pages]
    runs = []
    for _ in range(RUNS):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append([float(line) for line in done.stdout.split()])
    pair, validate, publish = (statistics.median(column) for column in zip(*runs, strict=True))
    values = {
        "mprotect pair": pair,
        "validator alone (il_validate)": validate,
        "il_publish": publish,
        _MARK: 2 * pair + validate,
    }
    if pages == "warm":
        values["Region.publish (from Python)"] = statistics.median(
            _from_python(size, min(rounds, PUBLISHES)) for _ in range(RUNS)
        )
    title = f"Publish {size} bytes, {'pages used before' if pages == 'warm' else 'untouched pages'}"
    return measure.table(title, "mprotect pair", values)


def _from_python(size: int, publishes: int) -> float:
    import interlock

    code, entries = machine_code(size), {"f": 0}
    with interlock.Region(60 << 20) as region:
        return statistics.median(
            measure.time_ns(lambda: region.publish(code, entries=entries)) for _ in range(publishes)
        )
