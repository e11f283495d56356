"""Code memory: the region, arenas, publishing and the code validator's opinion."""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

from interlock.artifacts import Accepted, CodeAddr, CodeOffset, Rejection
from interlock.core import library
from interlock.core.library import CORE, CORE_HELD, Image, RegionInfo, Verdict, check
from interlock.errors import ClosedError, CodeRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.artifacts import CodeImage, JumpTable, Relocation
    from interlock.policy import Policy


def open_region(writer_path: str = library.WRITER_PATH) -> None:
    """Open the process's region and its writer process, if they are not open.

    Raises `CodeMemoryError` where this system cannot hold code sealed.
    """
    check(CORE.il_region_open(os.fsencode(writer_path)), "open the code region")


def describe_region() -> RegionInfo:
    """Who can write the region, and how its mapping is held."""
    info = RegionInfo()
    check(CORE.il_region_describe(ctypes.byref(info)), "describe the code region")
    return info


def harden() -> None:
    """For the whole process and for good: no new executable memory, no way into other processes."""
    check(CORE.il_harden(), "harden the process")


class Arena:
    """A share of the region with its own import table, frozen when it is opened.

    `imports` maps names to absolute addresses; `policy` is frozen in the writer process.  Closing retires all its code.
    In a forked process it goes on with the same imports, quota and policy, in that process's own region.
    """

    def __init__(
        self, imports: Mapping[str, int], *, code_bytes_max: int, policy: Policy | None = None
    ) -> None:
        self._import_indices = {name: index for index, name in enumerate(imports)}
        self._table = array.array("Q", imports.values())
        self._policy = policy
        self._code_bytes_max = code_bytes_max
        self._is_closed = False
        # By process: in a fork the parent's handle names nothing, and the arena is opened again in the fork's own region.
        self._handles = {os.getpid(): self._open()}

    def _open(self) -> int:
        handle = ctypes.c_uint64()
        status = CORE.il_arena_open(
            _address(self._table),
            len(self._table),
            _policy(self._policy, self._import_indices),
            self._code_bytes_max,
            ctypes.byref(handle),
        )
        check(status, "open an arena of code memory")
        return handle.value

    def _reopen(self) -> int:
        opened = self._open()
        handle = self._handles.setdefault(os.getpid(), opened)
        if handle != opened:  # another thread was faster
            _end(CORE_HELD.il_arena_close(opened), "close an arena of code memory")
        return handle

    def publish(self, image: CodeImage) -> PublishedCode:
        """Have the writer validate and write an image.  Raises `CodeRejectedError`, and then nothing was written."""
        if self._is_closed:
            raise ClosedError("the arena is closed")
        handle = self._handles.get(os.getpid()) or self._reopen()
        struct, answer = _marshalled(image, self._import_indices), library.Published()
        status = CORE.il_publish(
            handle,
            ctypes.byref(struct),
            ctypes.byref(answer),
            ctypes.byref(answer, library.Published.address.offset),
            ctypes.byref(answer, library.Published.verdict.offset),
        )
        if status == library.REJECTED:
            raise CodeRejectedError(_rejection(answer.verdict))
        check(status, "publish code")
        return PublishedCode(answer.code, CodeAddr(answer.address), image)

    def close(self) -> None:
        """Retire all code that this process published.  Idempotent."""
        self._is_closed = True
        handle = self._handles.pop(os.getpid(), None)
        if handle is not None:
            _end(CORE_HELD.il_arena_close(handle), "close an arena of code memory")

    def __del__(self) -> None:
        """Code that nothing can call any more makes room."""
        with contextlib.suppress(Exception):
            self.close()


class PublishedCode:
    """Code that the core has accepted and written."""

    __slots__ = ("_entries", "_handle", "base")

    def __init__(self, handle: int, base: CodeAddr, image: CodeImage) -> None:
        self._handle: int | None = handle
        self.base = base
        self._entries = dict(image.entries)

    def address(self, entry: str) -> int:
        """The absolute address of an entry.  Raises `KeyError`."""
        return self.base + self._entries[entry]

    @property
    def is_retired(self) -> bool:
        """Whether `retire` was called."""
        return self._handle is None

    def retire(self) -> None:
        """Poison the code; its memory is used again when no thread is inside published code.  Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _end(CORE_HELD.il_retire(handle), "retire code")


def validate(
    image: CodeImage, imports: tuple[str, ...], policy: Policy | None = None
) -> Accepted | Rejection:
    """The code validator's first objection, or its yes."""
    indices = {name: index for index, name in enumerate(imports)}
    struct = _marshalled(image, indices)
    verdict = Verdict()
    status = CORE.il_validate(
        ctypes.byref(struct),
        _policy(policy, indices),
        len(imports),
        None,
        None,
        ctypes.byref(verdict),
    )
    if status == library.REJECTED:
        return _rejection(verdict)
    check(status, "validate code")
    return Accepted(instruction_bytes=len(image.code))


def validate_all(
    image: CodeImage, imports: tuple[str, ...], policy: Policy | None = None
) -> list[Rejection]:
    """Every objection of the code validator, in the order of its checks."""
    indices = {name: index for index, name in enumerate(imports)}
    struct = _marshalled(image, indices)
    found: list[Rejection] = []
    report = library.REPORT(lambda _context, verdict: found.append(_rejection(verdict.contents)))
    status = CORE_HELD.il_validate(
        ctypes.byref(struct),
        _policy(policy, indices),
        len(imports),
        report,
        None,
        ctypes.byref(Verdict()),
    )
    if status != library.REJECTED:
        check(status, "validate code")
    return found


def _marshalled(image: CodeImage, import_indices: Mapping[str, int]) -> Image:
    """An image as the core's struct, which keeps alive what it points to.  Positional arguments: this is half of a publish."""
    # Several names may share an entry; the core wants offsets, ascending.
    entries = array.array("I", sorted(set(image.entries.values())))
    relocations, jump_tables = image.relocations, image.jump_tables
    return Image(
        image.target.arch.value,
        len(image.code),
        len(image.rodata),
        len(entries),
        len(relocations),
        len(jump_tables),
        image.code,
        image.rodata,
        entries.tobytes(),
        relocation_bytes(relocations, import_indices) if relocations else None,
        jump_table_bytes(jump_tables) if jump_tables else None,
    )


def relocation_bytes(
    relocations: tuple[Relocation, ...], import_indices: Mapping[str, int]
) -> bytes:
    """An array of il_relocation."""
    words = array.array("I")
    for relocation in relocations:
        target = relocation.rodata_offset
        if relocation.symbol is not None:
            # What is not in the table becomes one past its end: refusing is the core's part.
            target = import_indices.get(relocation.symbol, len(import_indices))
        words.extend((relocation.offset, relocation.kind, target))
    return words.tobytes()


def jump_table_bytes(jump_tables: tuple[JumpTable, ...]) -> bytes:
    """An array of il_jump_table."""
    words = array.array("I")
    for table in jump_tables:
        words.extend((table.rodata_offset, table.count, table.base_offset))
    return words.tobytes()


def _policy(policy: Policy | None, import_indices: Mapping[str, int]) -> Any:
    """The core's struct, by reference; None for no policy beyond ours."""
    if policy is None:
        return None
    if unknown := policy.refused_imports - import_indices.keys():
        message = f"the policy refuses imports which do not exist: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    refused = sum(1 << import_indices[name] for name in policy.refused_imports)
    maxima = {name: getattr(policy, name) for name in library.POLICY_MAXIMA}
    struct = library.Policy(
        refused_classes=sum(each.value for each in policy.refused_classes), **maxima
    )
    words = refused.to_bytes(ctypes.sizeof(struct.refused_imports), sys.byteorder)
    ctypes.memmove(struct.refused_imports, words, len(words))
    return ctypes.byref(struct)


def _address(values: array.array[int]) -> int | None:
    return values.buffer_info()[0] if values else None


def _rejection(verdict: Verdict) -> Rejection:
    text = CORE_HELD.il_rule_text(verdict.rule)
    return Rejection(
        rule=verdict.rule,
        text=text.decode() if text is not None else "unknown rule",
        offset=CodeOffset(verdict.offset),
        bytes_seen=bytes(verdict.bytes[: verdict.bytes_count]),
        detail=verdict.detail.decode(errors="replace"),
    )


def _end(status: int, operation: str) -> None:
    """Ending something twice, or in a fork, or after the writer's death, leaves nothing to do."""
    writer_lost, forked = 6, 9
    if status not in {library.STALE, writer_lost, forked}:
        check(status, operation)
