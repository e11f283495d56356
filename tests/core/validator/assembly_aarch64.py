"""The same for AArch64: zig's assembler (llvmlite has none for it), LLVM as the compiler, a small linker."""

from __future__ import annotations

import functools
import itertools
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.core.validator.assembly import SHT_RELA, ElfObject, lay_out
from tests.core.validator.driver import RODATA_DELTA, Image

TRIPLE = "aarch64-unknown-linux-gnu"
ARCH = ".arch armv9.3-a+memtag+sve2+sme+mops+ls64+crypto+fp16+bf16+i8mm+flagm+profile+the"
R_AARCH64_JUMP26, R_AARCH64_CALL26 = 282, 283
R_AARCH64_ADD_ABS_LO12_NC = 277


@functools.cache
def assemble(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    """The bytes of each text; one run of the assembler for all of them."""
    parts = [ARCH]
    for number, text in enumerate(texts):
        parts.append(f'.section .text.{number},"ax"\n{text}\n')
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "all.s", Path(folder) / "all.o"
        source.write_text("\n".join(parts), encoding="ascii")
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-g0"]
        subprocess.run([*command, "-c", source, "-o", target], check=True, cwd=folder)
        elf = ElfObject(target.read_bytes())
    return tuple(elf.section(f".text.{number}").data for number in range(len(texts)))


@functools.cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    # The only shape of jump tables that the validator knows has entries of 32 bits.
    llvm.set_option("", "-aarch64-enable-compress-jump-tables=false")
    return llvm.Target.from_triple(TRIPLE)


def _machine(cpu: str, level: int) -> Any:
    return _target().create_target_machine(
        cpu=cpu, features="+reserve-x18", opt=level, reloc="pic", codemodel="small"
    )


@functools.cache
def compile_ir(ir: str, *, cpu: str, level: int = 2) -> Image:
    """Compiles IR through LLVM's own pipeline and links the object into an image."""
    import llvmlite.binding as llvm

    machine = _machine(cpu, level)
    module = llvm.parse_assembly(f'target triple = "{TRIPLE}"\n{ir}')
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = level > 1
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return link(machine.emit_object(module))


def link(data: bytes) -> Image:
    """One .text; references to constants and imports stay relocations of the image."""
    elf = ElfObject(data)
    text = elf.section(".text")
    rodata, places = lay_out(elf)
    code = bytearray(text.data)
    relocations: list[tuple[int, int, int]] = []
    imports: dict[int, int] = {}
    entries = {0}
    for section in elf.sections:
        if section.kind == SHT_RELA and section.info == text.index:
            symbols = elf.symbols(elf.sections[section.link])
            for offset, info, addend in struct.iter_unpack("<QQq", section.data):
                name, index, value = symbols[info >> 32]
                kind = info & 0xFFFFFFFF
                if index == 0:
                    number = imports.setdefault(name, len(imports))
                    relocations.append((offset, kind, number))
                elif index == text.index and kind in (R_AARCH64_JUMP26, R_AARCH64_CALL26):
                    (word,) = struct.unpack_from("<I", code, offset)
                    distance = (value + addend - offset) >> 2
                    struct.pack_into("<I", code, offset, word | distance & 0x3FFFFFF)
                else:
                    target = places[index] + value + addend - RODATA_DELTA
                    relocations.append((offset, kind, target))
        if section.name == ".symtab":
            kinds = struct.iter_unpack("<IBBHQQ", section.data)
            entries |= {v for _, i, _, s, v, _ in kinds if s == text.index and i & 15 == 2}
    return Image(
        arch=2,
        code=bytes(code),
        rodata=rodata,
        entries=tuple(sorted(entries)),
        relocations=tuple(sorted(relocations)),
        tables=tuple(_tables(bytes(code), rodata, relocations)),
        imports=len(imports),
    )


def _tables(
    code: bytes, rodata: bytes, relocations: list[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """Objects do not name their tables: a run of words that are distances from the label of a sequence to code."""
    words = struct.unpack(f"<{len(code) // 4}I", code)
    labels = set()
    for index, (adr, load) in enumerate(itertools.pairwise(words)):
        if adr & 0x9F000000 == 0x10000000 and load & 0xFFE0FC00 == 0xB8A07800:
            labels.add(4 * index + 4 * ((adr >> 5 & 0x7FFFF) - (adr >> 23 & 1) * 0x80000))
    starts = sorted({target for _, _, target in relocations if target < len(rodata)})
    named = {target for _, kind, target in relocations if kind == R_AARCH64_ADD_ABS_LO12_NC}
    found = []
    for start, end in itertools.pairwise([*starts, len(rodata)]):
        if start in named and start % 4 == 0:
            counts = [(_run(code, rodata[start:end], label), label) for label in labels]
            count, label = max(counts, default=(0, 0))
            if count:
                found.append((start, count, label))
    return found


def _run(code: bytes, rodata: bytes, label: int) -> int:
    count = 0
    for (value,) in struct.iter_unpack("<i", rodata[: len(rodata) // 4 * 4]):
        if not 0 <= label + value < len(code) or value % 4:
            break
        count += 1
    return count
