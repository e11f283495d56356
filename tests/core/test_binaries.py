"""What is in the files that the build makes, for every target: read with LIEF and Capstone, on Linux, without running them."""

from __future__ import annotations

import functools
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

import pytest

from interlock import contract
from tools.build_wheels import load_core_build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

lief = pytest.importorskip("lief", reason="needs lief")
capstone = pytest.importorskip("capstone", reason="needs capstone")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
lief.logging.disable()

ARCHES: Final = ("x86_64", "aarch64")
LINUX_FILES: Final = ("libinterlock.so", "interlock-writer", "_binding.abi3.so")
MACOS_FILES: Final = ("libinterlock.dylib", "_binding.abi3.so")
ELF_MACHINES: Final = {"x86_64": lief.ELF.ARCH.X86_64, "aarch64": lief.ELF.ARCH.AARCH64}
MACHO_CPUS: Final = {
    "x86_64": lief.MachO.Header.CPU_TYPE.X86_64,
    "aarch64": lief.MachO.Header.CPU_TYPE.ARM64,
}
GLIBC_MAX: Final = (2, 17)
WRITE, EXECUTE = 2, 4  # of Mach-O's VM_PROT
PAGE_BYTES: Final = 16384
FORBIDDEN: Final = {"syscall", "sysenter", "svc", "mrs", "msr"}  # I3: mrs of ctr_el0 too


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a target, once, and returns the directory of its files."""
    build = load_core_build()

    @functools.cache
    def of_target(target: str) -> Path:
        out = tmp_path_factory.mktemp(target)
        build.build(out, target=target)
        return out

    return of_target


def test_targets_are_two_architectures_on_two_systems() -> None:
    names = {f"{arch}-{system}" for arch in ARCHES for system in ("linux", "macos")}

    assert set(load_core_build().TARGETS) == names


# ---- Linux -------------------------------------------------------------------------------------------------------------------


def _dynamic(elf: lief.ELF.Binary, tag: str) -> int:
    entry = elf.get(getattr(lief.ELF.DynamicEntry.TAG, tag))
    return 0 if entry is None else entry.value


@pytest.mark.parametrize("name", LINUX_FILES)
@pytest.mark.parametrize("arch", ARCHES)
def test_linux_file_has_no_writable_code_and_no_writable_pointers_to_functions(
    built: Callable[[str], Path], arch: str, name: str
) -> None:
    elf = lief.ELF.parse(built(f"{arch}-linux") / name)
    types = lief.ELF.Segment.TYPE
    rights = lief.ELF.Segment.FLAGS

    both = rights.W | rights.X
    assert elf.header.machine_type == ELF_MACHINES[arch]
    assert not [each for each in elf.segments if each.flags & both == both]
    stack = [each for each in elf.segments if each.type == types.GNU_STACK]
    assert len(stack) == 1
    assert not stack[0].flags & rights.X
    assert [each for each in elf.segments if each.type == types.GNU_RELRO]
    now, now_1 = 8, 1  # DF_BIND_NOW, DF_1_NOW
    assert _dynamic(elf, "FLAGS") & now or _dynamic(elf, "FLAGS_1") & now_1
    assert elf.get(lief.ELF.DynamicEntry.TAG.TEXTREL) is None
    assert not _dynamic(elf, "FLAGS") & 4  # DF_TEXTREL


@pytest.mark.parametrize("arch", ARCHES)
def test_linux_writer_is_a_static_program_at_no_fixed_address(
    built: Callable[[str], Path], arch: str
) -> None:
    elf = lief.ELF.parse(built(f"{arch}-linux") / "interlock-writer")

    assert elf.header.file_type == lief.ELF.Header.FILE_TYPE.DYN
    assert _dynamic(elf, "FLAGS_1") & 0x08000000  # DF_1_PIE
    assert not elf.has_interpreter
    assert list(elf.libraries) == []


@pytest.mark.parametrize("name", ["libinterlock.so", "_binding.abi3.so"])
@pytest.mark.parametrize("arch", ARCHES)
def test_linux_library_asks_for_no_newer_c_library_than_its_wheel_says(
    built: Callable[[str], Path], arch: str, name: str
) -> None:
    elf = lief.ELF.parse(built(f"{arch}-linux") / name)

    versions = [
        each.name
        for needed in elf.symbols_version_requirement
        for each in needed.get_auxiliary_symbols()
    ]
    assert versions
    assert all(each.startswith("GLIBC_") for each in versions)
    numbers = [tuple(map(int, each.removeprefix("GLIBC_").split("."))) for each in versions]
    assert max(numbers)[:2] <= GLIBC_MAX
    known = {
        "libc.so.6",
        "libpthread.so.0",
        "libinterlock.so",
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
    }
    assert set(elf.libraries) <= known


# ---- macOS -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def macho(built: Callable[[str], Path], arch: str, name: str) -> lief.MachO.Binary:
    return lief.MachO.parse(built(f"{arch}-macos") / name).at(0)


def _symbols(macho: lief.MachO.Binary) -> dict[int, str]:
    """Of what the file defines: name by address."""
    return {
        each.value: each.name
        for each in macho.symbols
        if each.value and each.raw_type & 0x0E == 0x0E
    }


def _rights(segment: lief.MachO.SegmentCommand) -> int:
    return int(segment.init_protection) | int(segment.max_protection)


@pytest.mark.parametrize("name", MACOS_FILES)
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_file_has_no_writable_code_and_no_writable_pointers_to_functions(
    macho: lief.MachO.Binary, arch: str
) -> None:
    read_only_after_binding = 0x10  # SG_READ_ONLY

    assert macho.header.cpu_type == MACHO_CPUS[arch]
    assert not [
        each.name for each in macho.segments if _rights(each) & WRITE and _rights(each) & EXECUTE
    ]
    assert macho.get_segment("__DATA_CONST").flags == read_only_after_binding
    assert "__la_symbol_ptr" not in [each.name for each in macho.sections]
    # Thread-local variables have descriptors, which the loader fills in: nobody calls a function of the system through them.
    writable = {each.symbol.name for each in macho.bindings if each.segment.name != "__DATA_CONST"}
    assert writable <= {"__tlv_bootstrap"}


@pytest.mark.parametrize("name", MACOS_FILES)
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_file_says_what_it_needs_and_where_it_is(
    macho: lief.MachO.Binary, arch: str, name: str
) -> None:
    assert list(macho.build_version.minos)[:2] == [12, 0]
    assert macho.build_version.platform == lief.MachO.BuildVersion.PLATFORMS.MACOS
    # Without one no page of it runs on Apple silicon; zig signs ad hoc, and only there.
    assert macho.has_code_signature or arch == "x86_64"
    libraries = [each.name for each in macho.libraries]
    assert libraries[0] == f"@rpath/{name}"  # its own name comes first
    assert set(libraries[1:]) <= {"/usr/lib/libSystem.B.dylib", "@rpath/libinterlock.dylib"}
    assert [each.path for each in macho.rpaths] == (
        ["@loader_path"] if name != MACOS_FILES[0] else []
    )


@pytest.mark.parametrize("name", MACOS_FILES)
@pytest.mark.parametrize("arch", ARCHES)
def test_reader_of_the_contract_sees_in_macos_file_what_lief_sees(
    built: Callable[[str], Path], macho: lief.MachO.Binary, arch: str, name: str
) -> None:
    (found,) = contract.read_linkage((built(f"{arch}-macos") / name).read_bytes())

    load = lief.MachO.LoadCommand.TYPE.LOAD_DYLIB
    assert found.architecture == {"aarch64": "arm64"}.get(arch, arch)
    assert found.minimum_macos == "12.0"
    assert list(found.libraries) == [each.name for each in macho.libraries if each.command == load]
    assert list(found.rpaths) == [each.path for each in macho.rpaths]
    assert found.imports == {each.name for each in macho.imported_symbols}
    assert {name: (each.offset, each.size_bytes) for name, each in found.sections.items()} == {
        f"{each.segment.name},{each.name}": (each.offset, each.size) for each in macho.sections
    }


@pytest.mark.parametrize("arch", ARCHES)
def test_launchers_stub_has_the_name_of_the_library(
    built: Callable[[str], Path], arch: str, repository: Path
) -> None:
    """The launcher is linked with a text file in the library's place."""
    stub = (repository / "apple/launcher/libinterlock.tbd").read_text(encoding="utf-8")
    macho = lief.MachO.parse(built(f"{arch}-macos") / "libinterlock.dylib").at(0)

    assert f"install-name: '{macho.libraries[0].name}'\n" in stub


@pytest.mark.parametrize("name", MACOS_FILES[:1])
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_list_holds_our_callback_and_one_final_null(macho: lief.MachO.Binary) -> None:
    """Contract C10 to C14 and C17, and C9 and F3 of what must not be imported."""
    lists = [each for each in macho.sections if each.name == "__pth_jit_func"]

    assert [each.segment.name for each in lists] == ["__DATA_CONST"]
    content = bytes(lists[0].content)
    words = [int.from_bytes(content[i : i + 8], "little") for i in range(0, len(content), 8)]
    assert len(content) == 16
    assert [_symbols(macho).get(words[0]), words[1]] == ["_write_code", 0]
    assert [each.name for each in macho.symbols].count("_write_code") == 1
    # The loader slides the one word, and binds nothing there: no weak callback could become NULL.
    inside = range(lists[0].virtual_address, lists[0].virtual_address + 16)
    assert [each.address for each in macho.relocations if each.address in inside] == [inside.start]
    assert not [each for each in macho.bindings if each.address in inside]


@pytest.mark.parametrize("name", MACOS_FILES)
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_file_never_asks_for_the_plain_switch(macho: lief.MachO.Binary, name: str) -> None:
    imported = {each.name for each in macho.imported_symbols}

    assert "_pthread_jit_write_protect_np" not in imported
    assert "_pthread_jit_write_freeze_callbacks_np" not in imported
    if name == MACOS_FILES[0]:
        assert {"_pthread_jit_write_with_callback_np", "_sys_icache_invalidate"} <= imported
        assert not [each.symbol.name for each in macho.bindings if each.weak_import]


@pytest.mark.parametrize("name", MACOS_FILES[:1])
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_writer_has_its_memory_to_itself(macho: lief.MachO.Binary) -> None:
    """Its pages become read-only between calls: nothing else may lie on them."""
    addresses = {name: address for address, name in _symbols(macho).items()}
    start = addresses["_writer"]

    following = min(address for address in addresses.values() if address > start)
    assert start % PAGE_BYTES == 0
    assert following % PAGE_BYTES == 0


class _Code:
    """The functions of a Mach-O file, disassembled one by one."""

    def __init__(self, macho: lief.MachO.Binary, arch: str) -> None:
        text = macho.get_section("__text")
        self.start, self.bytes = text.virtual_address, bytes(text.content)
        self.end = self.start + len(self.bytes)
        self.names = {a: n for a, n in _symbols(macho).items() if self.start <= a < self.end}
        modes = {
            "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
            "aarch64": (capstone.CS_ARCH_ARM64, 0),
        }
        self.disassembler = capstone.Cs(*modes[arch])
        self.disassembler.detail = True
        tables = macho.data_in_code.entries if macho.has_data_in_code else []
        # Where a switch's targets lie between functions: no instructions.
        self.tables = sorted(
            (self.start + each.offset - text.offset, each.length) for each in tables
        )
        got = macho.get_section("__got")
        words = struct.unpack(f"<{got.size // 8}Q", bytes(got.content))
        # What the loader binds is no function of this file, and 0 here.
        self.slots = {got.virtual_address + 8 * i: word for i, word in enumerate(words) if word}

    def function_of(self, address: int) -> int:
        """The start of the function that an address lies in."""
        return max(start for start in self.names if start <= address)

    def instructions(self, function: int) -> Iterator[capstone.CsInsn]:
        end = min((start for start in self.names if start > function), default=self.end)
        for table, length in [each for each in self.tables if function < each[0] < end]:
            yield from self._disassembled(function, table)
            function = table + length
        yield from self._disassembled(function, end)

    def _disassembled(self, start: int, end: int) -> Iterator[capstone.CsInsn]:
        return self.disassembler.disasm(self.bytes[start - self.start : end - self.start], start)

    def transfers(self, function: int) -> Iterator[tuple[capstone.CsInsn, list[int]]]:
        """The calls and jumps of a function, and where to; nothing where a register or memory says it.

        Calls through the read-only __got are followed to what their slot holds.
        """
        body = list(self.instructions(function))
        for index, insn in enumerate(body):
            if insn.mnemonic == "blr":
                loads = _definitions(body, index, insn.operands[0].reg)
                slots = {slot for load in loads for slot in _slots(body, load)}
                known = slots and slots <= self.slots.keys()
                yield insn, [self.slots[each] for each in slots] if known else []
            elif "[rip" in insn.op_str and insn.group(capstone.CS_GRP_CALL):
                slot = insn.address + insn.size + insn.operands[0].mem.disp
                yield insn, [self.slots[slot]] if slot in self.slots else []
            elif insn.group(capstone.CS_GRP_CALL) or insn.group(capstone.CS_GRP_JUMP):
                yield insn, _immediates(insn)[-1:]

    def closure(self, name: str) -> set[int]:
        """The functions that may be reached from one, through what `transfers` can tell."""
        waiting = deque(address for address, each in self.names.items() if each == name)
        reached: set[int] = set()
        while waiting:
            function = waiting.popleft()
            if function in reached:
                continue
            reached.add(function)
            waiting += [
                self.function_of(to) for _, all_to in self.transfers(function) for to in all_to
            ]
        return reached


def _immediates(insn: capstone.CsInsn) -> list[int]:
    return [each.imm for each in insn.operands if each.type == capstone.CS_OP_IMM]


def _definitions(body: list[capstone.CsInsn], index: int, register: int) -> list[int]:
    """Which instructions may have given a register its value at an instruction: backwards along all paths."""
    at = {insn.address: i for i, insn in enumerate(body)}
    before: dict[int, list[int]] = {i: [] for i in range(len(body))}
    switches = []
    for i, insn in enumerate(body):
        is_jump = insn.group(capstone.CS_GRP_JUMP) and not insn.group(capstone.CS_GRP_CALL)
        target = at.get(_immediates(insn)[-1]) if is_jump and _immediates(insn) else None
        if target is not None:
            before[target].append(i)
        if insn.mnemonic == "br":
            switches.append(i)
        if i + 1 < len(body) and insn.mnemonic not in {"b", "br", "ret", "brk"}:
            before[i + 1].append(i)
    found: set[int] = set()
    waiting, seen = [index], {index}
    while waiting:
        i = waiting.pop()
        for each in before[i] or switches:
            if register in body[each].regs_access()[1]:
                found.add(each)
            elif each not in seen:
                seen.add(each)
                waiting.append(each)
    return sorted(found)


def _slots(body: list[capstone.CsInsn], index: int) -> list[int]:
    """What `adrp` and this `ldr` read, for every path to it; -1 for anything else."""
    insn = body[index]
    if insn.mnemonic != "ldr":
        return [-1]
    place = insn.operands[1].mem
    pages = [body[each] for each in _definitions(body, index, place.base)]
    return [
        each.operands[1].imm + place.disp if each.mnemonic == "adrp" else -1 for each in pages
    ] or [-1]


@pytest.mark.parametrize("name", MACOS_FILES[:1])
@pytest.mark.parametrize("arch", ARCHES)
def test_macos_callback_calls_nothing_but_functions_of_the_core(
    macho: lief.MachO.Binary, arch: str
) -> None:
    """Contract C4 to C6, T9 and I3: nothing of the system is called, nothing through a pointer in memory that others may write.

    The validators call `report`, which is NULL in the writer, through a register or the stack.
    """
    code = _Code(macho, arch)
    reached, validator = code.closure("_write_code"), code.closure("_il_validate_image")
    found = [
        f"{code.names[function]}: {insn.mnemonic} {insn.op_str}"
        for function in reached
        for insn in code.instructions(function)
        if insn.mnemonic in FORBIDDEN
    ]
    for function in reached:
        for insn, to in code.transfers(function):
            # A switch jumps through a register, to a table in __TEXT.
            is_open = insn.group(capstone.CS_GRP_CALL) or "[" in insn.op_str
            is_report = function in validator and "rip" not in insn.op_str
            if not to and is_open and not is_report:
                found.append(f"{code.names[function]}: {insn.mnemonic} {insn.op_str}")

    assert found == []
    names = {code.names[each] for each in reached}
    assert {"_write_code", "_il_writer_handle", f"_il_read_{arch}"} <= names
