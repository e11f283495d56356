"""Attacks on code memory by the application itself: what `interlock doctor` and the tests try.

python -I attacks.py PACKAGE_ROOT WRITER sealed|control present|ordinary plain|hardened [ATTACK...]

`sealed` attacks published code; `control` attacks memory that another process shares with this one and that nobody sealed, where
the attack must succeed: so a failure means that the memory is protected, not that the attack is wrong.  Each attack has a process
of its own, with a region of its own, and prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ORDINARY_USER: Final = 65534
PAGE: Final = 4096
# What an attacker wants to see executed.
PAYLOAD: Final = bytes.fromhex("f30f1efa b8 66000000 c3")
# endbr64; mov eax, 42; ret: what is attacked.
RETURNS_42: Final = bytes.fromhex("f30f1efa b82a000000 c3")
VIEW_BYTES: Final = 64 << 20
READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE, FIXED, ANONYMOUS = 1, 2, 16, 32
SYS_PTRACE, SYS_REMAP_FILE_PAGES, SYS_PKEY_MPROTECT, SYS_PIDFD_GETFD = 101, 216, 329, 438
MADV_DONTNEED, MADV_REMOVE = 4, 9
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4

libc = ctypes.CDLL(None, use_errno=True)
_int, _long, _size, _address = ctypes.c_int, ctypes.c_long, ctypes.c_size_t, ctypes.c_void_p
libc.mmap.restype = libc.mremap.restype = _address
libc.mmap.argtypes = [_address, _size, _int, _int, _int, _long]
libc.mremap.argtypes = [_address, _size, _size, _int, _address]
libc.mprotect.argtypes = libc.madvise.argtypes = [_address, _size, _int]
libc.munmap.argtypes = [_address, _size]
libc.syscall.argtypes = [_long, _long, _long, _long, _long, _long, _long]
libc.process_vm_writev.argtypes = [_int, _address, _size, _address, _size, _size]
FAILED: Final = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is attacked: a page of each view, their size, and the process that may write them."""

    code: int
    rodata: int
    view_bytes: int
    writer: int


class AttackFailed(Exception):  # noqa: N818 - not an error: it is what should happen
    """The system refused."""


def require(claim: object, what: str) -> None:
    """The attack goes on only if this step succeeded; what denied it is the system's word."""
    if not claim:
        number = ctypes.get_errno()
        raise AttackFailed(f"{what}: {os.strerror(number)}" if number else what)


def protect(address: int, protection: int) -> None:
    """Change a page's protection, and write it if that makes it writable."""
    require(libc.mprotect(address, PAGE, protection) == 0, "mprotect")
    if protection & WRITE:
        ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def unmap(address: int) -> None:
    """Take a page away."""
    require(libc.munmap(address, PAGE) == 0, "munmap")


def map_over(address: int) -> None:
    """Put memory of our own in its place."""
    found = libc.mmap(address, PAGE, READ | WRITE | EXEC, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    require(found == address, "mmap")
    ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def room(size: int = PAGE) -> int:
    """Memory of our own, executable if the system gives it."""
    for protection in (READ | WRITE | EXEC, READ | WRITE):
        found = libc.mmap(None, size, protection, PRIVATE | ANONYMOUS, -1, 0)
        if found != FAILED:
            return int(found)
    raise AttackFailed("mmap of room")


def move_away(address: int) -> None:
    """Move a page elsewhere, so that its place is free."""
    maymove, fixed = 1, 2
    found = libc.mremap(address, PAGE, PAGE, maymove | fixed, room())
    require(found != FAILED, "mremap")


def move_onto(address: int) -> None:
    """Move a page of our own into its place."""
    source = room()
    ctypes.memmove(source, PAYLOAD, len(PAYLOAD))
    require(libc.mremap(source, PAGE, PAGE, 1 | 2, address) == address, "mremap")


def duplicate(address: int) -> None:
    """old_size 0 makes a second mapping of shared memory."""
    found = libc.mremap(address, 0, PAGE, 1, None)
    require(found != FAILED, "mremap of old_size 0")
    protect(int(found), READ | WRITE)


def rotate(address: int) -> None:
    """remap_file_pages: the same mapping shows another page of the file."""
    require(libc.syscall(SYS_REMAP_FILE_PAGES, address, PAGE, 0, 5, 0, 0) == 0, "remap_file_pages")


def advise(address: int, advice: int) -> None:
    """Have the kernel drop pages or punch holes into the file."""
    require(libc.madvise(address, PAGE, advice) == 0, "madvise")


def pkey_protect(address: int) -> None:
    """As `protect`, through the system call for protection keys."""
    found = libc.syscall(SYS_PKEY_MPROTECT, address, PAGE, READ | WRITE, -1, 0, 0)
    require(found == 0, "pkey_mprotect")
    ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def write_file(path: str, address: int) -> None:
    """Write through a process's memory file."""
    fd = os.open(path, os.O_RDWR)
    require(os.pwrite(fd, PAYLOAD, address) == len(PAYLOAD), "pwrite")


def write_vector(pid: int, address: int) -> None:
    """Write into a process by process_vm_writev."""
    local = ctypes.create_string_buffer(PAYLOAD)
    parts = (ctypes.c_size_t * 4)(ctypes.addressof(local), len(PAYLOAD), address, len(PAYLOAD))
    at = ctypes.addressof(parts)
    sent = libc.process_vm_writev(pid, at, 1, at + 16, 1, 0)
    require(sent == len(PAYLOAD), "process_vm_writev")


def writable_view(pid: int) -> int:
    """Where the other process can write the code's file."""
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        if "rw-s" in line and "memfd" in line:
            return int(line.split("-")[0], 16)
    raise AttackFailed("no writable view in the other process's maps")


def guess_writer(target: Target) -> None:
    """Even an attacker who knows an address in the writer cannot write it: here one that exists in every program."""
    local = ctypes.create_string_buffer(8)
    parts = (ctypes.c_size_t * 4)(ctypes.addressof(local), 1, 0x10000, 1)
    at = ctypes.addressof(parts)
    ctypes.set_errno(0)
    libc.process_vm_writev(target.writer, at, 1, at + 16, 1, 0)
    # EFAULT would mean: allowed, but nothing there.
    require(ctypes.get_errno() != 1, "process_vm_writev")


def trace(target: Target) -> None:
    """Stop the writer as a debugger does, and poke its writable view."""
    attach, detach, poke = 16, 17, 4
    require(libc.syscall(SYS_PTRACE, attach, target.writer, 0, 0, 0, 0) == 0, "PTRACE_ATTACH")
    os.waitpid(target.writer, 0x40000000)
    word = int.from_bytes(PAYLOAD[:8], "little", signed=True)
    at = writable_view(target.writer)
    require(libc.syscall(SYS_PTRACE, poke, target.writer, at, word, 0, 0) == 0, "PTRACE_POKEDATA")
    libc.syscall(SYS_PTRACE, detach, target.writer, 0, 0, 0, 0)


def seize(target: Target) -> None:
    """Become the writer's debugger without stopping it."""
    require(libc.syscall(SYS_PTRACE, 0x4206, target.writer, 0, 0, 0, 0) == 0, "PTRACE_SEIZE")


def map_descriptors(directory: str, target: Target) -> None:
    """Map every descriptor that a directory shows, shared and writable."""
    hits = 0
    for path in Path(directory).iterdir():
        for protection in (READ | WRITE, READ | WRITE | EXEC):
            try:
                fd = os.open(path, os.O_RDWR)
                size = os.fstat(fd).st_size
            except OSError:
                continue
            if size < target.view_bytes:
                continue
            at = libc.mmap(None, PAGE, protection, SHARED, fd, 0)
            if at != FAILED:
                hits += 1
                ctypes.memmove(at, PAYLOAD, len(PAYLOAD))
    require(hits, f"no descriptor in {directory} can be mapped writable")


def reopen_map(address: int) -> None:
    """Open the mapped file again through /proc/self/map_files."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span = line.split()[0]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address < end:
            fd = os.open(f"/proc/self/map_files/{span}", os.O_RDWR)
            require(libc.mmap(None, PAGE, READ | WRITE, SHARED, fd, 0) != FAILED, "mmap")
            return
    raise AttackFailed("not in the maps")


def steal_descriptor(target: Target) -> None:
    """Take the writer's descriptors."""
    pidfd = os.pidfd_open(target.writer)
    stolen = [libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0, 0, 0, 0) for number in range(16)]
    require(max(stolen) >= 0, "pidfd_getfd")


def in_fork(address: int) -> None:
    """A child has copies of the mappings: they are no weaker."""
    child = os.fork()
    if child == 0:
        try:
            protect(address, READ | WRITE)
        except AttackFailed:
            os._exit(1)
        os._exit(0)
    require(os.waitpid(child, 0)[1] == 0, "mprotect in a forked child")


ATTACKS: Final[dict[str, Callable[[Target], None]]] = {
    "mprotect_code_rw": lambda t: protect(t.code, READ | WRITE),
    "mprotect_code_rwx": lambda t: protect(t.code, READ | WRITE | EXEC),
    "mprotect_rodata_rw": lambda t: protect(t.rodata, READ | WRITE),
    "mprotect_rodata_rwx": lambda t: protect(t.rodata, READ | WRITE | EXEC),
    "mprotect_rodata_rx": lambda t: protect(t.rodata, READ | EXEC),
    "mprotect_code_none": lambda t: protect(t.code, 0),
    "mprotect_in_fork": lambda t: in_fork(t.code),
    "pkey_mprotect": lambda t: pkey_protect(t.code),
    "munmap_code": lambda t: unmap(t.code),
    "munmap_rodata": lambda t: unmap(t.rodata),
    "map_fixed_code": lambda t: map_over(t.code),
    "map_fixed_rodata": lambda t: map_over(t.rodata),
    "mremap_away": lambda t: move_away(t.code),
    "mremap_onto": lambda t: move_onto(t.code),
    "mremap_duplicate_code": lambda t: duplicate(t.code),
    "mremap_duplicate_rodata": lambda t: duplicate(t.rodata),
    "remap_file_pages": lambda t: rotate(t.code),
    "madvise_dontneed": lambda t: advise(t.code, MADV_DONTNEED),
    "madvise_dontneed_rodata": lambda t: advise(t.rodata, MADV_DONTNEED),
    "madvise_remove": lambda t: advise(t.code, MADV_REMOVE),
    "madvise_remove_rodata": lambda t: advise(t.rodata, MADV_REMOVE),
    "proc_self_mem": lambda t: write_file("/proc/self/mem", t.code),
    "proc_self_mem_rodata": lambda t: write_file("/proc/self/mem", t.rodata),
    "process_vm_writev_self": lambda t: write_vector(os.getpid(), t.code),
    "process_vm_writev_writer": lambda t: write_vector(t.writer, writable_view(t.writer)),
    "process_vm_writev_writer_guess": guess_writer,
    "proc_writer_mem": lambda t: write_file(f"/proc/{t.writer}/mem", writable_view(t.writer)),
    "proc_writer_mem_open": lambda t: os.close(os.open(f"/proc/{t.writer}/mem", os.O_RDWR)),
    "proc_writer_maps": lambda t: require(writable_view(t.writer), "maps"),
    "proc_writer_fd": lambda t: map_descriptors(f"/proc/{t.writer}/fd", t),
    "proc_self_fd": lambda t: map_descriptors("/proc/self/fd", t),
    "proc_self_map_files": lambda t: reopen_map(t.code),
    "pidfd_getfd_writer": steal_descriptor,
    "ptrace_attach_writer": trace,
    "ptrace_seize_writer": seize,
}
# The kernel lets this one force its way into private mappings only: their control is private (and the product's views are not).
_PRIVATE: Final = {"proc_self_mem", "proc_self_mem_rodata"}
# Succeeding, these leave the page of code with no bytes to read back.
_UNREADABLE: Final = {"mprotect_code_none", "munmap_code", "munmap_rodata", "mremap_away"}
# They drop pages of this process, which the next access brings back.
HARMLESS: Final = {"madvise_dontneed", "madvise_dontneed_rodata"}
# It tells addresses and writes nothing; root may always.
LEAKS: Final = {"proc_writer_maps"}
# What no seal but mseal (Linux 6.10) refuses: the mapping is replaced or dropped, its memory is not written.
NEEDS_MSEAL: Final = {
    *("map_fixed_code", "map_fixed_rodata", "mprotect_code_none", "mprotect_rodata_rx"),
    *("mremap_away", "mremap_onto", "munmap_code", "munmap_rodata", "remap_file_pages"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one attack came to."""

    name: str
    uid: int
    has_seals: bool
    has_mseal: bool
    succeeded: bool  # every step of it was allowed
    changed: bool  # bytes of code or constants are others now, or cannot be read any more
    by: str  # the step that was refused, and the system's word for it


def drop_privileges() -> None:
    """Become an ordinary user, who may look into his own processes."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        os.setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        # Changing the user made this process non-dumpable, so that /proc/self would refuse for the wrong reason.
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def call(address: int) -> int:
    """Call `int f(void)` at an address."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def sealed(writer_path: str) -> tuple[Target, bool, bool]:
    """Published code: the target, whether views are sealed, whether the kernel has mseal."""
    from interlock import core
    from interlock.artifacts import CodeImage, CodeOffset
    from interlock.target import X86_64_LINUX_V2

    core.open_region(writer_path)
    arena = core.Arena({}, code_bytes_max=1 << 20)
    image = CodeImage(
        target=X86_64_LINUX_V2,
        code=RETURNS_42,
        rodata=b"constant",
        entries={"f": CodeOffset(0)},
    )
    address = arena.publish(image).base
    _kept.append(arena)
    require(call(address) == 42, "calling the code that is attacked")
    info = core.describe_region()
    target = Target(
        code=address,
        rodata=address + VIEW_BYTES,
        view_bytes=VIEW_BYTES,
        writer=info.writer_pid,
    )
    return target, info.has_seals, info.has_mseal


_kept: list[object] = []


def control(*, is_private: bool) -> tuple[Target, bool, bool]:
    """The same arrangement without any protection."""
    size = 1 << 20
    descriptors = [os.memfd_create(name) for name in ("code", "rodata")]
    for fd in descriptors:
        os.ftruncate(fd, size)
    flags = PRIVATE if is_private else SHARED
    code = libc.mmap(None, size, READ | EXEC, flags, descriptors[0], 0)
    rodata = libc.mmap(None, size, READ, flags, descriptors[1], 0)
    read_end, write_end = os.pipe()
    writer = os.fork()
    if writer == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for fd, content in zip(descriptors, (RETURNS_42, b"constant"), strict=True):
            view = mmap.mmap(fd, size)
            view[: len(content)] = content
        # Keep both views until the parent is gone.
        os.write(write_end, b"x")
        while True:
            signal.pause()
    os.read(read_end, 1)
    require(call(code) == 42, "the control's code")
    return Target(code=code, rodata=rodata, view_bytes=size, writer=writer), False, False


def attack(name: str, target: Target, *, has_seals: bool, has_mseal: bool) -> Report:
    """Attack once, in this process, which may not survive it."""
    before = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
    by = ""
    try:
        ATTACKS[name](target)
    except (AttackFailed, OSError) as error:
        by = str(error)
    changed = not by and name in _UNREADABLE
    if not changed:
        after = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
        changed = before != after or call(target.code) != 42
    return Report(
        name=name,
        uid=os.geteuid(),
        has_seals=has_seals,
        has_mseal=has_mseal,
        succeeded=not by,
        changed=changed,
        by=by,
    )


def main() -> int:
    """Attack in one child after the other, and report."""
    package_root, writer_path, mode, user, hardening, *names = sys.argv[1:]
    sys.path.insert(0, package_root)
    if mode == "sealed":
        # Before the user changes, who may not read them.
        import interlock.core
        import interlock.target  # noqa: F401
    status = 0
    for name in names or ATTACKS:
        child = os.fork()
        if child == 0:
            os._exit(_attack_and_print(name, writer_path, mode, user, hardening))
        status |= os.waitpid(child, 0)[1] != 0
    return int(status)


def _attack_and_print(name: str, writer_path: str, mode: str, user: str, hardening: str) -> int:
    if user == "ordinary":
        drop_privileges()
    try:
        if mode == "sealed":
            target, has_seals, has_mseal = sealed(writer_path)
        else:
            target, has_seals, has_mseal = control(is_private=name in _PRIVATE)
        if hardening == "hardened":
            from interlock import core

            core.harden()
        report = attack(name, target, has_seals=has_seals, has_mseal=has_mseal)
    except Exception as error:  # noqa: BLE001  (the parent is told)
        os.write(2, f"{name}: {type(error).__name__}: {error}\n".encode())
        return 1
    os.write(1, (json.dumps(asdict(report)) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
