"""LLVM as the assembler and compiler of the test images, with as much linking as they need."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Any

from tests.core.validator.driver import RODATA_DELTA, Image

TRIPLE = "x86_64-unknown-linux-gnu"
R_X86_64_PC32, R_X86_64_PLT32 = 2, 4
SHT_RELA, SHT_NOBITS = 4, 8


@functools.cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm.Target.from_triple(TRIPLE)


def _machine(cpu: str, opt: int = 2) -> Any:
    return _target().create_target_machine(cpu=cpu, opt=opt, reloc="pic", codemodel="small")


@functools.lru_cache(maxsize=1024)
def assemble(text: str) -> bytes:
    """Assembles Intel syntax; the bytes of .text."""
    import llvmlite.binding as llvm

    machine = _machine("x86-64-v3")
    lines = [".intel_syntax noprefix", *text.splitlines(), ".att_syntax"]
    escaped = (
        'module asm "' + line.replace("\\", "\\\\").replace('"', "\\22") + '"' for line in lines
    )
    module = llvm.parse_assembly(f'target triple = "{TRIPLE}"\n' + "\n".join(escaped))
    return ElfObject(machine.emit_object(module)).section(".text").data


def optimized(ir: str, cpu: str, level: int) -> Any:
    """The module behind LLVM's own pipeline, so that loops are vectorized and switches become tables."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(f'target triple = "{TRIPLE}"\n{ir}')
    machine = _machine(cpu, level)
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = level > 1
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


@functools.cache
def compile_ir(ir: str, *, cpu: str, level: int = 2) -> Image:
    """Compiles IR and links the object into an image."""
    return link(_machine(cpu, level).emit_object(optimized(ir, cpu, level)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section header and its bytes."""

    index: int
    name: str
    kind: int
    link: int
    info: int
    data: bytes
    align: int


class ElfObject:
    """ELF, as far as relocatable objects of LLVM go."""

    def __init__(self, data: bytes) -> None:
        (table,) = struct.unpack_from("<Q", data, 40)
        count, names = struct.unpack_from("<HH", data, 60)
        heads = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * n) for n in range(count)]
        strings = heads[names][4]
        self.sections = []
        for index, head in enumerate(heads):
            start = strings + head[0]
            self.sections.append(
                Section(
                    index=index,
                    name=data[start : data.index(b"\0", start)].decode(),
                    kind=head[1],
                    link=head[6],
                    info=head[7],
                    data=b"" if head[1] == SHT_NOBITS else data[head[4] : head[4] + head[5]],
                    align=max(1, head[8]),
                )
            )

    def section(self, name: str) -> Section:
        return next(section for section in self.sections if section.name == name)

    def symbols(self, section: Section) -> list[tuple[int, int, int]]:
        """Name offset, section index, value."""
        raw = struct.iter_unpack("<IBBHQQ", section.data)
        return [(name, index, value) for name, _, _, index, value, _ in raw]


def link(data: bytes) -> Image:
    """One .text, constants behind it in a view of their own, undefined functions as imports."""
    elf = ElfObject(data)
    text = elf.section(".text")
    rodata, places = lay_out(elf)
    places[text.index] = 0
    code, constants = bytearray(text.data), bytearray(rodata)
    relocations: list[tuple[int, int, int]] = []
    imports: dict[int, int] = {}
    entries_of_tables: list[int] = []
    starts: set[int] = set()  # of constants that code names: a table can follow another directly
    entries = {0}
    for section in elf.sections:
        if section.kind != SHT_RELA or section.info not in places:
            continue
        is_code = section.info == text.index
        symbols = elf.symbols(elf.sections[section.link])
        for offset, info, addend in struct.iter_unpack("<QQq", section.data):
            name, index, value = symbols[info >> 32]
            if index == 0:
                relocations.append((offset, R_X86_64_PLT32, imports.setdefault(name, len(imports))))
                continue
            place = places[section.info] + offset
            result = places[index] + value + addend - place
            struct.pack_into(
                "<i",
                code if is_code else constants,
                place - (0 if is_code else RODATA_DELTA),
                result,
            )
            if is_code:
                starts.add(place + result + 4 - RODATA_DELTA)
            else:
                entries_of_tables.append(place - RODATA_DELTA)
    for section in elf.sections:
        if section.name == ".symtab":
            kinds = struct.iter_unpack("<IBBHQQ", section.data)
            entries |= {v for _, i, _, s, v, _ in kinds if s == text.index and i & 15 == 2}
    return Image(
        code=bytes(code),
        rodata=bytes(constants),
        entries=tuple(sorted(entries)),
        relocations=tuple(sorted(relocations)),
        tables=_runs(sorted(entries_of_tables), starts),
        imports=len(imports),
    )


def lay_out(elf: ElfObject) -> tuple[bytes, dict[int, int]]:
    """The constants, and where each section lies as seen from the code."""
    rodata, places = bytearray(), {}
    for section in elf.sections:
        if section.name.startswith(".rodata"):
            rodata += bytes(-len(rodata) % section.align)
            places[section.index] = RODATA_DELTA + len(rodata)
            rodata += section.data
    return bytes(rodata), places


def _runs(offsets: list[int], starts: set[int]) -> tuple[tuple[int, int, int], ...]:
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and runs[-1][0] + 4 * runs[-1][1] == offset and offset not in starts:
            runs[-1][1] += 1
        else:
            runs.append([offset, 1])
    return tuple((start, count, RODATA_DELTA + start) for start, count in runs)
