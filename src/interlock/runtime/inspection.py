"""Stages as text, and the code validator's opinion without publishing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from interlock import bytecode, codegen, core, link
from interlock.artifacts import Accepted, CodeImage, ObjectFile, Rejection
from interlock.errors import CompileError, InterlockError
from interlock.runtime import pipeline
from interlock.target import TARGETS, X86_64_LINUX_V3, Arch, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interlock.policy import Policy
    from interlock.runtime.engine import Module

STAGES = ("wat", "llvm", "llvm-opt", "asm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One instruction of a linked image and what the code validator says of it."""

    offset: int
    data: bytes
    text: str
    rejection: Rejection | None

    def __str__(self) -> str:
        """`offset  bytes  instruction  verdict`."""
        verdict = (
            "ok" if self.rejection is None else f"{self.rejection.rule_id} {self.rejection.text}"
        )
        return f"{self.offset:6x}  {self.data.hex(' '):<32} {self.text:<48} {verdict}"


def validate_image(
    image: CodeImage, *, imports: Iterable[str] = (), policy: Policy | None = None
) -> Accepted | Rejection:
    """The code validator's first objection, or its yes.  An opinion: only the writer's own check lets code run."""
    return core.validate(image, tuple(imports), policy)


def validate_image_all(
    image: CodeImage, *, imports: Iterable[str] = (), policy: Policy | None = None
) -> list[Rejection]:
    """Every objection of the code validator."""
    return core.validate_all(image, tuple(imports), policy)


def link_object(data: bytes) -> CodeImage:
    """Link a relocatable x86-64 ELF object; branches to the core's gates become relocations.

    Raises `LinkError` for a malformed object or a symbol outside the import table.
    """
    return link.link(
        ObjectFile(target=X86_64_LINUX_V3, data=bytes(data), symbol=""), core.gate_names()
    )


def dump(
    module: Module, *, stage: str, function: int | str | None = None, target: str | None = None
) -> str:
    """One stage of a module as text: ``wat``, ``llvm``, ``llvm-opt`` or ``asm``.

    `function` is an index or a name and selects one defined function; None means all.  ``asm`` disassembles the linked
    image, with the code validator's verdict beside each instruction (needs the package `capstone`).  `target` names
    another machine (`interlock.target.TARGETS`), whose code is made to be looked at.
    """
    if stage not in STAGES:
        message = f"stage {stage!r} is not one of {', '.join(STAGES)}"
        raise ValueError(message)
    if target is not None and target not in TARGETS:
        message = f"target {target!r} is not one of {', '.join(TARGETS)}"
        raise ValueError(message)
    if stage == "wat":
        return bytecode.to_wat(module.validated.module)
    indices = module.defined_function_indices if function is None else [find(module, function)]
    if target is None or target == str(module.engine.target):
        return "\n".join(_stage(module, index, stage, module) for index in indices)
    with CrossBuild(module, TARGETS[target]) as made:
        return "\n".join(_stage(module, index, stage, made) for index in indices)


class CrossBuild:
    """A module's functions compiled for another machine: never published, only looked at."""

    def __init__(self, module: Module, target: Target) -> None:
        self._module = module
        self._target = target
        self._compiler = codegen.Compiler(target)

    def build(self, index: int) -> CodeImage:
        """As `Module.build`."""
        return pipeline.build_function(
            self._compiler, self._lower(index), self._module.engine.gate_names, lambda: False
        )

    def inspect(self, index: int, *, stage: str) -> str:
        """As `Module.inspect`."""
        ir = self._lower(index)
        return ir if stage == "llvm" else self._compiler.optimise(ir)

    def _lower(self, index: int) -> str:
        return pipeline.lower_function(
            self._module.validated, self._module.layout, index, self._target
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the compiler process."""
        self._compiler.close()


def find(module: Module, function: int | str) -> int:
    """The index of a defined function given by index, name or export name."""
    indices = module.defined_function_indices
    if isinstance(function, int) or function.isdecimal():
        index = int(function)
        if index in indices:
            return index
        message = f"function {index} is not one of {indices.start}..{indices.stop - 1}"
        raise CompileError(message)
    for export in module.validated.module.exports:
        if (
            export.name == function
            and export.kind is bytecode.ExternKind.FUNC
            and export.index in indices
        ):
            return export.index
    for index in indices:
        if module.function_name(index) == function:
            return index
    message = f"the module defines no function {function!r}"
    raise CompileError(message)


def disassemble(image: CodeImage, *, imports: Iterable[str]) -> Iterator[Line]:
    """The image's instructions with the verdict on each."""
    try:
        import capstone
    except ImportError as error:
        message = "the asm stage needs the package capstone: pip install capstone"
        raise InterlockError(message) from error
    rejections = {
        int(rejection.offset): rejection for rejection in validate_image_all(image, imports=imports)
    }
    if image.target.arch is Arch.AARCH64:
        decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    targets = {int(relocation.offset): relocation.symbol for relocation in image.relocations}
    for address, size, mnemonic, operands in decoder.disasm_lite(image.code, 0):
        symbol = next((targets[at] for at in range(address, address + size) if at in targets), None)
        text = f"{mnemonic} {symbol if symbol is not None else operands}".rstrip()
        yield Line(
            offset=address,
            data=image.code[address : address + size],
            text=text,
            rejection=rejections.get(address),
        )


def _stage(module: Module, index: int, stage: str, made: Module | CrossBuild) -> str:
    head = f"; function {index} {module.function_name(index)}"
    if stage != "asm":
        return f"{head}\n{made.inspect(index, stage=stage)}"
    image = made.build(index)
    head += f": {len(image.code)} bytes of code, {len(image.rodata)} of constants"
    lines = disassemble(image, imports=module.engine.gate_names)
    return "\n".join([head, *map(str, lines), ""])
