"""Region: executable memory for people who bring their own machine code.

The code passes the same validator and lies in the same sealed views as everything else.  Policy `permitted`
restricts which instructions exist, not which addresses they touch: publish only code that you trust with your
process's memory (SECURITY.md).
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Self

from interlock import core
from interlock.artifacts import CodeImage, CodeOffset, Relocation
from interlock.errors import ClosedError, UnsupportedError
from interlock.target import host_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from interlock.policy import Policy

_SIGNATURE = re.compile(r"\s*(\w+)\s*\(\s*([\w\s,]*?)\s*\)\s*")
_LETTERS = {"i32": "i", "i64": "I", "f32": "f", "f64": "F"}


class Region:
    """A share of the process's code region, with its own import table, frozen when it is opened.

    `code_bytes_max` bounds code and constants together.  `imports` maps names to absolute addresses which the code
    may branch to, and only to these.  `policy` refuses more than our own rules do.  Raises `CodeMemoryError` when code
    memory cannot be had.
    """

    def __init__(
        self,
        code_bytes_max: int,
        *,
        imports: Mapping[str, int] | None = None,
        policy: Policy | None = None,
    ) -> None:
        target = host_target()
        if target is None:
            raise UnsupportedError(
                "code memory on this machine (this version needs Linux or macOS on x86-64 or AArch64)"
            )
        self.target = target
        core.open_region()
        core.install_traps()
        self._exec = core.ExecContext(native=True)
        self._arena = core.Arena(dict(imports or {}), code_bytes_max=code_bytes_max, policy=policy)
        self._published: weakref.WeakSet[PublishedCode] = weakref.WeakSet()
        self._is_closed = False

    def publish(
        self,
        code: bytes,
        *,
        entries: Mapping[str, int],
        rodata: bytes = b"",
        relocations: tuple[Relocation, ...] = (),
    ) -> PublishedCode:
        """Copy, validate and write machine code; `entries` maps names to offsets of first instructions.

        Raises `CodeRejectedError` with rule, offset and bytes, and then nothing was written.
        """
        image = CodeImage(
            target=self.target,
            code=bytes(code),
            rodata=bytes(rodata),
            entries={name: CodeOffset(offset) for name, offset in entries.items()},
            relocations=relocations,
        )
        return self.publish_image(image)

    def publish_image(self, image: CodeImage) -> PublishedCode:
        """As `publish`, for a linked image."""
        if self._is_closed:
            raise ClosedError("the region is closed")
        code = PublishedCode(self, self._arena.publish(image))
        self._published.add(code)
        return code

    def close(self) -> None:
        """Retire all code of this region.  Idempotent; functions called afterwards raise `ClosedError`."""
        if not self._is_closed:
            self._is_closed = True
            for code in list(self._published):
                code.retire()
            self._arena.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def __enter__(self) -> Self:
        """Return the region itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


class PublishedCode:
    """Published machine code of a `Region`: addresses and callable functions by entry name."""

    def __init__(self, region: Region, published: core.PublishedCode) -> None:
        self._region = region
        self._published = published
        self._funcrefs: list[core.Block] = []

    def address(self, entry: str) -> int:
        """The absolute address of an entry."""
        self._require_live()
        return self._published.address(entry)

    def function(self, entry: str, signature: str) -> Callable[..., object]:
        """A builtin that calls an entry: ``code.function("f", "i64(i64, i64)")``.

        Types are ``i32 i64 f32 f64`` and ``void`` (as the result); the code is called as the platform's C ABI says.
        """
        self._require_live()
        letters = parse_signature(signature)
        funcref = core.Block(24)
        funcref.write_u64(0, self._published.address(entry))
        funcref.write_u64(8, 1)  # not closed
        self._funcrefs.append(funcref)
        name = f"{entry}: {signature}"
        return core.make_function(
            entry, name, self._region._exec.address, funcref.address, letters, self
        )

    def make_trap(self, kind: int, pc: int) -> Exception:
        """The exception for a trap of this code (called by the binding)."""
        from interlock.errors import Trap

        return Trap(
            core.trap_text(kind), code=kind, function=f"offset {pc - self._published.base:#x}"
        )

    def retire(self) -> None:
        """Poison the code and free its memory for reuse.  Idempotent; its functions raise `ClosedError` afterwards."""
        for funcref in self._funcrefs:
            funcref.write_u64(8, 0)
        self._published.retire()

    def _require_live(self) -> None:
        if self._region.is_closed or self._published.is_retired:
            raise ClosedError("the code was retired")


def parse_signature(signature: str) -> str:
    """``i64(i32, f64)`` as the binding's notation ``iF:I``.  Raises `ValueError` with what is wrong."""
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        message = f"signature {signature!r}: write it like i64(i64, i64) or void()"
        raise ValueError(message)
    result, params = match[1], [name.strip() for name in match[2].split(",") if name.strip()]
    for name in params if result == "void" else [*params, result]:
        if name not in _LETTERS:
            message = f"signature {signature!r}: {name!r} is not one of {', '.join(_LETTERS)}"
            raise ValueError(message)
    letters = "".join(_LETTERS[name] for name in params)
    return f"{letters}:{_LETTERS.get(result, '')}"
