"""The article's own flow, step by step: compile, write, run; and the one-liner `load`.

`compile` turns source into machine code that is still bytes; `write` has the core validate and publish it;
`run` executes it.  Everything here is a thin order of calls on `Engine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from interlock.artifacts import CodeImage
from interlock.errors import UnsupportedError
from interlock.runtime.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.bytecode import ValidatedModule
    from interlock.runtime.engine import Imports, Module
    from interlock.runtime.instance import Instance
    from interlock.runtime.region import PublishedCode
    from interlock.runtime.wasi import Wasi

LANGUAGES = ("wasm", "wat")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModule:
    """A whole module as linked machine code, one image a function.  Still untrusted, still bytes."""

    module: ValidatedModule
    images: Mapping[int, CodeImage]  # by function index, for every function the module defines
    file: str = ""

    @property
    def code_bytes(self) -> int:
        """Machine code in total."""
        return sum(len(image.code) for image in self.images.values())


class PublishedModule:
    """A compiled module whose every function the core has accepted and written."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def instantiate(self, imports: Imports | None = None, *, wasi: Wasi | None = None) -> Instance:
        """Make an instance; see `Engine.instantiate`."""
        return self.module.engine.instantiate(self.module, imports, wasi=wasi)

    def run(self, imports: Imports | None = None, *, wasi: Wasi | None = None) -> int:
        """Run the program's `_start` and return its exit status.

        Without `wasi` the program gets this process's standard streams and no files.
        """
        from interlock.runtime.wasi import INHERIT, Wasi

        if wasi is None:
            wasi = Wasi(stdin=INHERIT, stdout=INHERIT, stderr=INHERIT)
        with self.instantiate(imports, wasi=wasi) as instance:
            return instance.run()


def compile(source: str | bytes, *, language: str, file: str = "") -> CompiledModule:  # noqa: A001  (the article's word)
    """Compile source to machine code without making it executable.

    `language` is ``"wasm"`` (bytes) or ``"wat"`` (text).  Raises `SourceError` for a wrong program and
    `CompileError` when a correct one cannot be compiled.
    """
    if language not in LANGUAGES:
        message = f"the language {language!r} (this version compiles {' and '.join(LANGUAGES)})"
        raise UnsupportedError(message)
    engine = default_engine()
    if language == "wasm":
        if isinstance(source, str):
            raise TypeError("WebAssembly binaries are bytes; use language='wat' for text")
        module = engine.compile_wasm(source, file=file)
    else:
        text = source.decode() if isinstance(source, bytes) else source
        module = engine.compile_wat(text, file=file)
    try:
        images = {index: module.build(index) for index in module.defined_function_indices}
    finally:
        module.close()
    return CompiledModule(module=module.validated, images=images, file=file)


@overload
def write(code: CompiledModule) -> PublishedModule: ...
@overload
def write(code: CodeImage) -> PublishedCode: ...
def write(code: CompiledModule | CodeImage) -> PublishedModule | PublishedCode:
    """Validate and publish; `CodeRejectedError` when the core refuses, and then nothing was written.

    The writer process copies the bytes, validates every instruction of its copy, writes that copy and
    synchronises the caches.
    """
    engine = default_engine()
    if isinstance(code, CodeImage):
        from interlock.runtime.region import Region

        return Region(len(code.code) + len(code.rodata) + (1 << 16)).publish_image(code)
    module = engine.adopt(code.module, file=code.file)
    for index, image in code.images.items():
        module.publish(index, image)
    return PublishedModule(module)


def load(path: str | Path, imports: Imports | None = None, *, wasi: Wasi | None = None) -> Instance:
    """Instantiate a `.wasm` or `.wat` file in the default engine: `load("f.wasm").exports.f(1)`."""
    path = Path(path)
    engine = default_engine()
    data = path.read_bytes()
    if path.suffix == ".wat":
        module = engine.compile_wat(data.decode(), file=str(path))
    else:
        module = engine.compile_wasm(data, file=str(path))
    return engine.instantiate(module, imports, wasi=wasi)


_default: list[Engine] = []


def default_engine() -> Engine:
    """The engine behind `load`, `compile` and `write`: opened on first use, open until the process ends."""
    if not _default:
        _default.append(Engine())
    return _default[0]
