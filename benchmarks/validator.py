"""The code validator: accepted code a second, beside capstone, which only decodes, and memcpy, the physical limit.

The marks (issue 3): 200 MB/s for x86-64, 500 MB/s for AArch64.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measure, publish, zig

if TYPE_CHECKING:
    from interlock.artifacts import CodeImage

ROUNDS = 200
_X86_64 = 1


def run(work: Path) -> list[measure.Table]:
    """One table for real code of our compiler, one for the mix that the benchmark of publishing uses."""
    program, program_aarch64 = _compiled(work)
    mix = [_record(_X86_64, publish.machine_code(4096))] * 64
    return [
        _table(work, "x86-64: the functions of a C program with its library", program),
        _table(work, "AArch64: the same functions", program_aarch64),
        _table(work, "x86-64: the mix of `publish`", mix),
    ]


def _compiled(work: Path) -> tuple[list[bytes], list[bytes]]:
    """Every function of examples/sha256.c and the C library below it, as a writer process would get them, for both machines."""
    import interlock
    from interlock.runtime.inspection import CrossBuild
    from interlock.target import AARCH64_LINUX

    source = zig.HERE.parent / "examples" / "sha256.c"
    wasm = zig.compile_c(source, work / "sha256.wasm", *zig.WASI_COMMAND).read_bytes()
    with interlock.Engine() as engine:
        module = engine.compile_wasm(wasm)
        imports = {name: number for number, name in enumerate(engine.gate_names)}
        with CrossBuild(module, AARCH64_LINUX) as other:
            indices = module.defined_function_indices
            return (
                [_of_image(module.build(index), imports) for index in indices],
                [_of_image(other.build(index), imports) for index in indices],
            )


def _of_image(image: CodeImage, imports: dict[str, int]) -> bytes:
    relocations = [
        (each.offset, each.kind, imports[each.symbol] if each.symbol else each.rodata_offset)
        for each in image.relocations
    ]
    tables = [(each.rodata_offset, each.count, each.base_offset) for each in image.jump_tables]
    entries = sorted({int(offset) for offset in image.entries.values()})
    return _record(image.target.arch.value, image.code, image.rodata, entries, relocations, tables)


def _record(
    arch: int,
    code: bytes,
    rodata: bytes = b"",
    entries: list[int] | None = None,
    relocations: list[tuple[int, ...]] | None = None,
    tables: list[tuple[int, ...]] | None = None,
) -> bytes:
    """An image as benchmarks/kernels/validator.c reads it."""
    entries, relocations, tables = entries or [0], relocations or [], tables or []
    counts = (arch, len(code), len(rodata), len(entries), len(relocations), len(tables))
    numbers = [*entries, *(n for row in [*relocations, *tables] for n in row)]
    return struct.pack("<6I", *counts) + code + rodata + struct.pack(f"<{len(numbers)}I", *numbers)


def _table(work: Path, title: str, records: list[bytes]) -> measure.Table:
    import capstone

    from interlock.core import library

    package, native = Path(capstone.__file__).parent, Path(library.WRITER_PATH).parent
    capstone_library = work / "libcapstone.so.5"  # the name that it has for the linker
    if not capstone_library.exists():
        capstone_library.symlink_to(package / "lib/libcapstone.so")
    driver = zig.compile_c(
        zig.HERE / "kernels/validator.c",
        work / "validator",
        "-O2",
        f"-I{zig.HERE.parent / 'core/include'}",
        f"-I{package / 'include'}",
        f"-L{native}",
        "-linterlock",
        str(capstone_library),
        f"-Wl,-rpath,{native}",
        f"-Wl,-rpath,{work}",
    )
    file = work / "images"
    file.write_bytes(b"".join(records))
    done = subprocess.run([driver, file, str(ROUNDS)], capture_output=True, text=True, check=True)
    validate, copy, decode = (float(line) for line in done.stdout.split())
    code_bytes = sum(struct.unpack_from("<I", record, 4)[0] for record in records)
    speeds = ", ".join(
        f"{name} {code_bytes * 1000 / value:.0f} MB/s"
        for name, value in (("validator", validate), ("capstone", decode), ("memcpy", copy))
    )
    return measure.table(
        f"Validate, {title}",
        "the code validator",
        {"the code validator": validate, "capstone 5, decoding only": decode, "memcpy": copy},
        remarks=(f"{len(records)} images, {code_bytes} bytes of code: {speeds}.",),
    )
