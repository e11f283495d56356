"""Input files: what is in them, told by their content, and where they are compiled."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from interlock.cli.output import UsageError
from interlock.errors import UnsupportedError, WasmMalformedError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock import Config, Module

_WASM_MAGIC = b"\0asm"
_ELF_MAGIC = b"\x7fELF"
_FUTURE_LANGUAGES = {".js": "JavaScript", ".mjs": "JavaScript", ".py": "typed Python"}


def read(file: str) -> bytes:
    """A file's bytes; OSError says which file and why not."""
    with open(file, "rb") as stream:
        return stream.read()


def kind_of(file: str, data: bytes) -> str:
    """`wasm`, `wat`, `object` or `raw`, by the first bytes, else by the name.

    Raises UnsupportedError for a language of a later version, UsageError for what is none of them.
    """
    suffix = "." + file.rpartition(".")[2].lower()
    if data.startswith(_WASM_MAGIC) or suffix == ".wasm":
        return "wasm"
    if data.startswith(_ELF_MAGIC) or suffix == ".o":
        return "object"
    if suffix in _FUTURE_LANGUAGES:
        message = f"{_FUTURE_LANGUAGES[suffix]} ({file}); this version takes .wasm and .wat"
        raise UnsupportedError(message)
    if suffix == ".bin":
        return "raw"
    if suffix == ".wat" or data.lstrip()[:1] in {b"(", b";"}:
        return "wat"
    message = f"{file} is not WebAssembly: neither the binary format nor a .wat text"
    raise UsageError(message)


def decode_text(file: str, data: bytes) -> str:
    """A text module; WasmMalformedError where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        span = Span(start=error.start, end=error.end, file=file)
        raise WasmMalformedError("malformed UTF-8 encoding", span=span) from None


@contextlib.contextmanager
def compiled(file: str, config: Config | None = None) -> Iterator[Module]:
    """A module of a new engine, open within the block."""
    import interlock

    data = read(file)
    kind = kind_of(file, data)
    if kind not in {"wasm", "wat"}:
        message = f"{file} is machine code; `interlock validate` checks it"
        raise UsageError(message)
    with interlock.Engine(config) as engine:
        if kind == "wat":
            yield engine.compile_wat(decode_text(file, data), file=file)
        else:
            yield engine.compile_wasm(data, file=file)
