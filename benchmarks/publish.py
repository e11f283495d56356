"""Publishing: validate and write through the writer process, against a pair of mprotect calls without any check.

The mark (design.md section 10): at most two such pairs and the code validator's own time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from benchmarks import measure, zig

# Bytes of an image, and rounds: the largest takes most of a millisecond.
SIZES = {64: 10_000, 4096: 10_000, 256 << 10: 600}
VIEW_BYTES = 64 << 20  # of the core: more rounds would find pages that were touched before
RUNS = 5
# A process on one CPU, and one that the scheduler places as it likes: a hand-over between CPUs costs ten times as much.
WAYS = ("one CPU", "all CPUs")
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

    count = min(rounds, VIEW_BYTES // size) if pages == "fresh" else rounds
    command = [str(driver), library.WRITER_PATH, str(size), str(count), pages]
    runs: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(RUNS):
        for way, results in runs.items():
            results.append(_run(command, way))
    values, remarks = {}, []
    for way, results in runs.items():
        pair, validate, publish = (
            statistics.median(column) for column in zip(*results, strict=True)
        )
        mark = 2 * pair + validate
        values[f"mprotect pair, {way}"] = pair
        values[f"validator alone (il_validate), {way}"] = validate
        values[f"il_publish, {way}"] = publish
        values[f"{_MARK}, {way}"] = mark
        remarks.append(f"il_publish on {way}: {publish / mark:.2f} of the mark.")
    if pages == "warm":
        values["Region.publish (from Python), all CPUs"] = statistics.median(
            _from_python(size, min(rounds, PUBLISHES)) for _ in range(RUNS)
        )
    title = f"Publish {size} bytes, {'pages used before' if pages == 'warm' else 'untouched pages'}"
    return measure.table(title, f"mprotect pair, {WAYS[0]}", values, remarks=tuple(remarks))


def _run(command: list[str], way: str) -> list[float]:
    cpus = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(cpus)} if way == WAYS[0] else cpus)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        os.sched_setaffinity(0, cpus)
    return [float(line) for line in done.stdout.split()]


def _from_python(size: int, publishes: int) -> float:
    import interlock

    code, entries = machine_code(size), {"f": 0}
    with interlock.Region(60 << 20) as region:
        return statistics.median(
            measure.time_ns(lambda: region.publish(code, entries=entries)) for _ in range(publishes)
        )
