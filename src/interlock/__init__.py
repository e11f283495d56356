"""Interlock: a just-in-time compiler that obeys the rules of Apple silicon and the Hardened Runtime, everywhere.

Names resolve on first use (PEP 562), so `import interlock` loads nothing that the program does not touch.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # what type checkers know without the import of typing, which takes longer than this package

if TYPE_CHECKING:
    from interlock import contract, intrinsics, types
    from interlock.artifacts import Accepted, CodeImage, JumpTable, Rejection, Relocation
    from interlock.errors import (
        ClosedError,
        CodeMemoryError,
        CodeRejectedError,
        CompileError,
        ExitError,
        InterlockError,
        InternalError,
        LimitExceededError,
        LinkError,
        PythonSubsetError,
        SourceError,
        Trap,
        UnsupportedError,
        WasmInvalidError,
        WasmMalformedError,
        WasmUnlinkableError,
    )
    from interlock.policy import InstructionClass, Policy
    from interlock.runtime.arrays import array_address, asarray, empty
    from interlock.runtime.config import Config, Protection
    from interlock.runtime.engine import Engine, Module
    from interlock.runtime.externals import Global, Memory, Table
    from interlock.runtime.hardening import harden_process
    from interlock.runtime.inspection import (
        dump,
        link_object,
        validate_image,
        validate_image_all,
    )
    from interlock.runtime.instance import Instance
    from interlock.runtime.jit import CompiledFunction, build_wasm, jit
    from interlock.runtime.program import CompiledModule, PublishedModule, compile, load, write  # noqa: A004  (the article's word)
    from interlock.runtime.region import PublishedCode, Region
    from interlock.runtime.wasi import Wasi
    from interlock.target import Target
    from interlock.typed_python.records import struct

__version__ = "0.1.0"

if sys.platform not in {"linux", "darwin"}:
    raise ImportError(
        f"Interlock runs on Linux and macOS, on x86-64 and arm64, not on {sys.platform}"
    )

_HOMES = {
    "interlock.artifacts": ("Accepted", "CodeImage", "JumpTable", "Rejection", "Relocation"),
    "interlock.errors": (
        "ClosedError",
        "CodeMemoryError",
        "CodeRejectedError",
        "CompileError",
        "ExitError",
        "InterlockError",
        "InternalError",
        "LimitExceededError",
        "LinkError",
        "PythonSubsetError",
        "SourceError",
        "Trap",
        "UnsupportedError",
        "WasmInvalidError",
        "WasmMalformedError",
        "WasmUnlinkableError",
    ),
    "interlock.policy": ("InstructionClass", "Policy"),
    "interlock.runtime.arrays": ("array_address", "asarray", "empty"),
    "interlock.runtime.config": ("Config", "Protection"),
    "interlock.runtime.engine": ("Engine", "Module"),
    "interlock.runtime.externals": ("Global", "Memory", "Table"),
    "interlock.runtime.hardening": ("harden_process",),
    "interlock.runtime.inspection": (
        "dump",
        "link_object",
        "validate_image",
        "validate_image_all",
    ),
    "interlock.runtime.instance": ("Instance",),
    "interlock.runtime.jit": ("CompiledFunction", "build_wasm", "jit"),
    "interlock.runtime.program": (
        "CompiledModule",
        "PublishedModule",
        "compile",
        "load",
        "write",
    ),
    "interlock.runtime.region": ("PublishedCode", "Region"),
    "interlock.runtime.wasi": ("Wasi",),
    "interlock.target": ("Target",),
    "interlock.typed_python.records": ("struct",),
}
# Packages that are public as a whole.
_PACKAGES = ("contract", "intrinsics", "types")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Accepted",
    "ClosedError",
    "CodeImage",
    "CodeMemoryError",
    "CodeRejectedError",
    "CompileError",
    "CompiledFunction",
    "CompiledModule",
    "Config",
    "Engine",
    "ExitError",
    "Global",
    "Instance",
    "InstructionClass",
    "InterlockError",
    "InternalError",
    "JumpTable",
    "LimitExceededError",
    "LinkError",
    "Memory",
    "Module",
    "Policy",
    "Protection",
    "PublishedCode",
    "PublishedModule",
    "PythonSubsetError",
    "Region",
    "Rejection",
    "Relocation",
    "SourceError",
    "Table",
    "Target",
    "Trap",
    "UnsupportedError",
    "Wasi",
    "WasmInvalidError",
    "WasmMalformedError",
    "WasmUnlinkableError",
    "__version__",
    "array_address",
    "asarray",
    "build_wasm",
    "compile",
    "contract",
    "dump",
    "empty",
    "harden_process",
    "intrinsics",
    "jit",
    "link_object",
    "load",
    "struct",
    "types",
    "validate_image",
    "validate_image_all",
    "write",
]


def __getattr__(name: str) -> object:
    """Import the public name's home on first use."""
    if name in _PACKAGES:
        return importlib.import_module(f"interlock.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'interlock' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, loaded or not."""
    return __all__
