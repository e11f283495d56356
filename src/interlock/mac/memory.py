"""What lies behind the addresses of modelled processes: memory objects with a data view and an instruction view.

Which addresses are mapped, and with which rights, is `contract.Memory`'s to say.  Here are the bytes: one object for each `Contents`
of the contract's map, so that fork, aliases and mappings over others need no second book.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interlock.contract.memory_map import CELL_BYTES, Contents, Entry, Origin, Protection
from interlock.mac.cpu import INSTRUCTION_BYTES, PAGE_BYTES, Access, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.contract import Process
    from interlock.contract.threads import Thread
    from interlock.mac.cpu import Cpu, Physical


@dataclass(slots=True, kw_only=True)
class PrivateView:
    """Where a thread needs a barrier to see new code (I6): its own instructions, and the offsets of those that it has run."""

    instructions: Physical
    ran: set[int] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class VmObject:
    """A memory object.  Code that was never synchronised with the instruction view is not there: the view starts as zeros."""

    data: Physical
    instructions: Physical
    private: dict[str, PrivateView] = field(default_factory=dict)  # by thread


class AddressSpaces:
    """All memory objects of a machine, by the contents that the contract knows them by."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self._objects: dict[Contents, VmObject] = {}

    def map_image(
        self, process: Process, size: int, *, protection: Protection, at: int | None = None
    ) -> int:
        """Map pages that are signed, or made by the system, such as a stack; returns where."""
        size = process.memory.map.round_up(size)
        address = process.memory.map.place(size) if at is None else at
        process.memory.map.insert(
            Entry(
                start=address,
                end=address + size,
                protection=protection,
                is_jit=False,
                is_shared=False,
                origin=Origin.IMAGE,
                contents=Contents(),
                contents_start=0,
            )
        )
        self.adopt(process, address)
        return address

    def adopt(self, process: Process, address: int) -> None:
        """Give memory to an entry that `mmap` has just made."""
        entry = process.memory.map.find(address)
        if entry is not None and entry.contents not in self._objects:
            size = entry.end - entry.start
            self._objects[entry.contents] = VmObject(
                data=self._cpu.allocate(size), instructions=self._cpu.allocate(size)
            )

    def fork(self, parent: Process, child: Process) -> None:
        """Copy what the child does not share."""
        for entry in child.memory.map.entries:
            origin = parent.memory.map.find(entry.start)
            if origin is None or entry.contents in self._objects:
                continue
            source = self._objects[origin.contents]
            copy = VmObject(
                data=self._cpu.allocate(source.data.size),
                instructions=self._cpu.allocate(source.data.size),
            )
            for each, other in ((copy.data, source.data), (copy.instructions, source.instructions)):
                each.copy_from(other)
            self._objects[entry.contents] = copy

    def frame(self, process: Process, thread: Thread, page: int, access: Access) -> Frame | None:
        """Where a page lies for an access of a thread; None if the contract forbids it."""
        entry = process.memory.map.find(page)
        if access is Access.FETCH:
            if process.fetch_fault(thread, page) is not None or entry is None:
                return None
            return Frame(
                address=self.instructions(process, thread, entry).address + entry.offset_of(page)
            )
        is_writable = process.store_fault(thread, page) is None
        is_readable = process.load_fault(page) is None
        if entry is None or not (is_writable if access is Access.WRITE else is_readable):
            return None
        offset = entry.offset_of(page)
        return Frame(
            address=self._objects[entry.contents].data.address + offset, is_writable=is_writable
        )

    def instructions(self, process: Process, thread: Thread, entry: Entry) -> Physical:
        """The instruction view that a thread fetches from."""
        found = self._objects[entry.contents]
        if not process.needs_barriers:
            return found.instructions
        if thread.name not in found.private:
            own = self._cpu.allocate(found.instructions.size)
            own.copy_from(found.instructions)
            found.private[thread.name] = PrivateView(instructions=own)
        return found.private[thread.name].instructions

    def note_run(self, process: Process, thread: Thread, address: int) -> bytes:
        """A thread runs the instruction at an address, and will again until its next barrier; the instruction."""
        entry = process.memory.map.find(address)
        if entry is None:
            return b""
        own, offset = self._objects[entry.contents].private[thread.name], entry.offset_of(address)
        own.ran.add(offset)
        return own.instructions.read(offset, INSTRUCTION_BYTES)

    def barrier(self, thread: Thread) -> None:
        """A thread forgets what it ran."""
        for each in self._objects.values():
            each.private.pop(thread.name, None)
        self._cpu.forget_all_instructions()

    def read(self, process: Process, address: int, size: int) -> bytes:
        """Bytes of the data view, which need not lie in one entry; zeros where nothing is mapped."""
        return b"".join(
            self._objects[entry.contents].data.read(offset, length) if entry else bytes(length)
            for entry, offset, length in _pieces(process, address, size)
        )

    def write(self, process: Process, address: int, data: bytes) -> None:
        """Change the data view, as the kernel or a debugger would."""
        at = 0
        for entry, offset, length in _pieces(process, address, len(data)):
            if entry is not None:
                self._objects[entry.contents].data.write(offset, data[at : at + length])
            at += length

    def read_instructions(self, process: Process, thread: Thread | None, address: int) -> bytes:
        """The cell of 16 bytes at an address as the instruction view has it: a thread's own, or everybody's."""
        entry = process.memory.map.find(address)
        if entry is None:
            return bytes(CELL_BYTES)
        found = self._objects[entry.contents]
        own = found.private.get(thread.name) if thread is not None else None
        view = found.instructions if own is None else own.instructions
        return view.read(entry.offset_of(address), CELL_BYTES)

    def host_address(self, process: Process, address: int) -> int:
        """Where this process of ours sees the data view of an address."""
        entry = process.memory.map.find(address)
        if entry is None:
            raise ValueError(f"nothing is mapped at {address:#x}")
        return self._objects[entry.contents].data.host_address + entry.offset_of(address)

    def synchronise(self, process: Process, address: int, size: int) -> None:
        """The instruction view takes over exactly this range of the data view (I1)."""
        for entry, offset, length in _pieces(process, address, size):
            if entry is not None and Protection.READ in entry.protection:
                found = self._objects[entry.contents]
                self._replace(found, offset, found.data.read(offset, length))

    def zero(self, process: Process, address: int, size: int) -> None:
        """What `madvise` gave back reads as zeros."""
        for entry, offset, length in _pieces(process, address, size):
            if entry is not None:
                found = self._objects[entry.contents]
                found.data.write(offset, bytes(length))
                self._replace(found, offset, bytes(length))

    def _replace(self, found: VmObject, offset: int, data: bytes) -> None:
        found.instructions.write(offset, data)
        for own in found.private.values():
            for at in range(len(data)):
                if (offset + at) & -INSTRUCTION_BYTES not in own.ran:
                    own.instructions.write(offset + at, data[at : at + 1])
        if found.private:
            self._cpu.forget_all_instructions()
        else:
            self._cpu.forget_instructions(found.instructions.address + offset, len(data))


def _pieces(process: Process, address: int, size: int) -> Iterator[tuple[Entry | None, int, int]]:
    """The range cut where entries end: entry, offset in its contents, length."""
    end = address + size
    while address < end:
        entry = process.memory.map.find(address)
        stop = min(end, (address & -PAGE_BYTES) + PAGE_BYTES if entry is None else entry.end)
        yield entry, entry.offset_of(address) if entry else 0, stop - address
        address = stop
