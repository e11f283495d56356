"""The attacks themselves: each is a function of its target that raises `AttackFailed` or `OSError` where the system refuses.

What is attacked is the application's code memory, by the application, by a forked child of it, and by an outsider: another
process of the same user, which never had the region and is not hardened with it.  `attacks.py` runs them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = 4096
IS_AARCH64: Final = platform.machine() == "aarch64"
# Functions that return 0x66, which an attacker wants to see executed, and 42, which is attacked.
PAYLOAD: Final = bytes.fromhex(
    "5f2403d5 c00c8052 c0035fd6" if IS_AARCH64 else "f30f1efa b866000000 c3"
)
RETURNS_42: Final = bytes.fromhex(
    "5f2403d5 40058052 c0035fd6" if IS_AARCH64 else "f30f1efa b82a000000 c3"
)
READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE, FIXED, ANONYMOUS = 1, 2, 16, 32
SYS_PTRACE, SYS_REMAP_FILE_PAGES, SYS_PKEY_MPROTECT, SYS_USERFAULTFD = (
    (117, 234, 288, 282) if IS_AARCH64 else (101, 216, 329, 323)
)
SYS_IO_URING_SETUP, SYS_IO_URING_REGISTER, SYS_PIDFD_GETFD = 425, 427, 438
MADV_DONTNEED, MADV_REMOVE, MADV_POPULATE_WRITE, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE = (
    4,
    9,
    23,
    102,
    103,
)
PTRACE_POKEDATA, PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE = 4, 16, 17, 0x4206

libc = ctypes.CDLL(None, use_errno=True)
_int, _long, _size, _address = ctypes.c_int, ctypes.c_long, ctypes.c_size_t, ctypes.c_void_p
libc.mmap.restype = libc.mremap.restype = libc.shmat.restype = _address
libc.mmap.argtypes = [_address, _size, _int, _int, _int, _long]
libc.mremap.argtypes = [_address, _size, _size, _int, _address]
libc.mprotect.argtypes = libc.madvise.argtypes = [_address, _size, _int]
libc.munmap.argtypes = [_address, _size]
libc.syscall.argtypes = [_long, _long, _long, _long, _long, _long, _long]
libc.process_vm_writev.argtypes = [_int, _address, _size, _address, _size, _size]
libc.fallocate.argtypes = [_int, _int, _long, _long]
libc.splice.argtypes = [_int, _address, _int, _address, _size, _int]
libc.read.argtypes = [_int, _address, _size]
libc.shmget.argtypes = [_int, _size, _int]
libc.shmat.argtypes = [_int, _address, _int]
FAILED: Final = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is attacked: a page of each view, the guard below, the views' size; who runs the code, and who may write it."""

    code: int
    rodata: int
    guard: int
    view_bytes: int
    application: int
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


def poke(pid: int, address: int) -> None:
    """Stop a process as a debugger does, and poke a word into it."""
    require(libc.syscall(SYS_PTRACE, PTRACE_ATTACH, pid, 0, 0, 0, 0) == 0, "PTRACE_ATTACH")
    os.waitpid(pid, 0x40000000)
    word = int.from_bytes(PAYLOAD[:8], "little", signed=True)
    is_poked = libc.syscall(SYS_PTRACE, PTRACE_POKEDATA, pid, address, word, 0, 0) == 0
    number = ctypes.get_errno()
    libc.syscall(SYS_PTRACE, PTRACE_DETACH, pid, 0, 0, 0, 0)
    ctypes.set_errno(number)
    require(is_poked, "PTRACE_POKEDATA")


def seize(pid: int) -> None:
    """Become a process's debugger without stopping it."""
    require(libc.syscall(SYS_PTRACE, PTRACE_SEIZE, pid, 0, 0, 0, 0) == 0, "PTRACE_SEIZE")


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


def reopened(address: int) -> int:
    """The mapped file opened again through /proc/self/map_files."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span = line.split()[0]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address < end:
            return os.open(f"/proc/self/map_files/{span}", os.O_RDWR)
    raise AttackFailed("not in the maps")


def map_reopened(address: int, protection: int, flags: int) -> None:
    """Map the reopened file."""
    fd = reopened(address)
    require(libc.mmap(None, PAGE, protection, flags, fd, 0) != FAILED, "mmap")


def write_reopened(address: int) -> None:
    """Write to the reopened file, as a file."""
    require(os.pwrite(reopened(address), PAYLOAD, 0) == len(PAYLOAD), "pwrite")


def punch_reopened(address: int) -> None:
    """Punch a hole into the reopened file: its pages become zeros."""
    keep_size, punch_hole = 1, 2
    found = libc.fallocate(reopened(address), keep_size | punch_hole, 0, PAGE)
    require(found == 0, "fallocate")


def truncate_reopened(address: int) -> None:
    """Cut the reopened file off."""
    os.ftruncate(reopened(address), 0)


def splice_reopened(address: int) -> None:
    """Move bytes of a pipe into the reopened file."""
    read_end, write_end = os.pipe()
    os.write(write_end, PAYLOAD)
    sent = libc.splice(read_end, None, reopened(address), None, len(PAYLOAD), 0)
    require(sent == len(PAYLOAD), "splice")


def steal_descriptors(pid: int) -> list[int]:
    """Take another process's descriptors."""
    pidfd = os.pidfd_open(pid)
    stolen = [libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0, 0, 0, 0) for number in range(32)]
    require(max(stolen) >= 0, "pidfd_getfd")
    return [fd for fd in stolen if fd >= 0]


def map_stolen(target: Target) -> None:
    """Map one of the application's descriptors writable."""
    for fd in steal_descriptors(target.application):
        if os.fstat(fd).st_size >= target.view_bytes:
            require(libc.mmap(None, PAGE, READ | WRITE, SHARED, fd, 0) != FAILED, "mmap")
            return
    raise AttackFailed("no descriptor of the application is a view's")


def read_into(address: int) -> None:
    """Have the kernel write there, as the destination of a read."""
    read_end, write_end = os.pipe()
    os.write(write_end, PAYLOAD)
    require(libc.read(read_end, address, len(PAYLOAD)) == len(PAYLOAD), "read")


def register_buffer(address: int) -> None:
    """Have io_uring pin the page for writing."""
    parameters = ctypes.create_string_buffer(120)
    fd = libc.syscall(SYS_IO_URING_SETUP, 8, ctypes.addressof(parameters), 0, 0, 0, 0)
    require(fd >= 0, "io_uring_setup")
    part = (ctypes.c_size_t * 2)(address, PAGE)
    found = libc.syscall(SYS_IO_URING_REGISTER, fd, 0, ctypes.addressof(part), 1, 0, 0)
    require(found == 0, "IORING_REGISTER_BUFFERS")


def serve_faults(address: int) -> None:
    """Register the page with userfaultfd, to decide what it holds."""
    user_mode_only = 1
    fd = libc.syscall(SYS_USERFAULTFD, user_mode_only, 0, 0, 0, 0, 0)
    require(fd >= 0, "userfaultfd")
    api = ctypes.create_string_buffer(struct.pack("<QQQ", 0xAA, 0, 0), 24)
    require(libc.ioctl(fd, ctypes.c_ulong(0xC018AA3F), api) == 0, "UFFDIO_API")
    missing = ctypes.create_string_buffer(struct.pack("<QQQQ", address, PAGE, 1, 0), 32)
    require(libc.ioctl(fd, ctypes.c_ulong(0xC020AA00), missing) == 0, "UFFDIO_REGISTER")


def guard_and_replace(address: int) -> None:
    """Make the page fault (that is granted: a process can stop itself), and try to put another in its place."""
    require(libc.madvise(address, PAGE, MADV_GUARD_INSTALL) == 0, "MADV_GUARD_INSTALL")
    try:
        for step in (map_over, move_onto, unmap):
            try:
                step(address)
            except AttackFailed as error:
                last = error
            else:
                return
        raise last
    finally:
        libc.madvise(address, PAGE, MADV_GUARD_REMOVE)


def move_and_keep(address: int) -> None:
    """MREMAP_DONTUNMAP: the page goes elsewhere, its place stays."""
    maymove, dontunmap = 1, 4
    found = libc.mremap(address, PAGE, PAGE, maymove | dontunmap, None)
    require(found != FAILED, "mremap")


def in_fork(step: Callable[[], None]) -> None:
    """By a forked child: it has copies of the mappings, and may reach its parent."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            step()
        except (AttackFailed, OSError) as error:
            os.write(write_end, str(error).encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    why = os.read(read_end, 1000).decode()
    os.close(read_end)
    ctypes.set_errno(0)
    require(not why, f"in a forked child: {why}")


# ---- New executable memory: what only a hardened process is refused


def new_anonymous() -> None:
    """Memory that is writable and executable."""
    found = libc.mmap(None, PAGE, READ | WRITE | EXEC, PRIVATE | ANONYMOUS, -1, 0)
    require(found != FAILED, "mmap")


def new_by_protection() -> None:
    """Memory that is written, and then made executable."""
    found = libc.mmap(None, PAGE, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0)
    ctypes.memmove(found, PAYLOAD, len(PAYLOAD))
    require(libc.mprotect(found, PAGE, READ | EXEC) == 0, "mprotect")


def new_file() -> None:
    """A file that is written, and mapped executable."""
    with tempfile.TemporaryFile() as file:
        file.write(PAYLOAD.ljust(PAGE, b"\0"))
        file.flush()
        found = libc.mmap(None, PAGE, READ | EXEC, PRIVATE, file.fileno(), 0)
    require(found != FAILED, "mmap")


def new_memfd() -> None:
    """The same without a file system."""
    fd = os.memfd_create("attack")
    os.write(fd, PAYLOAD.ljust(PAGE, b"\0"))
    require(libc.mmap(None, PAGE, READ | EXEC, SHARED, fd, 0) != FAILED, "mmap")


def new_shared() -> None:
    """System V memory, attached executable."""
    shm_exec, remove = 0o100000, 0
    identifier = libc.shmget(0, PAGE, 0o1700)
    require(identifier >= 0, "shmget")
    found = libc.shmat(identifier, None, shm_exec)
    number = ctypes.get_errno()
    libc.shmctl(identifier, remove, None)
    ctypes.set_errno(number)
    require(found != FAILED, "shmat")


def new_program() -> None:
    """A program, in place of a child."""
    in_fork(lambda: os.execv("/bin/true", ["true"]))  # noqa: S606  (that is the attack)


def overwrite_library() -> None:
    """The text of the C library, through the memory file: private mappings are not protected from it."""
    at = ctypes.cast(libc.getpid, ctypes.c_void_p).value or 0
    fd = os.open("/proc/self/mem", os.O_RDWR)
    same = ctypes.string_at(at, 8)
    require(os.pwrite(fd, same, at) == len(same), "pwrite")


BY_APPLICATION: Final[dict[str, Callable[[Target], None]]] = {
    "mprotect_code_rw": lambda t: protect(t.code, READ | WRITE),
    "mprotect_code_rwx": lambda t: protect(t.code, READ | WRITE | EXEC),
    "mprotect_rodata_rw": lambda t: protect(t.rodata, READ | WRITE),
    "mprotect_rodata_rwx": lambda t: protect(t.rodata, READ | WRITE | EXEC),
    "mprotect_rodata_rx": lambda t: protect(t.rodata, READ | EXEC),
    "mprotect_code_none": lambda t: protect(t.code, 0),
    "mprotect_in_fork": lambda t: in_fork(lambda: protect(t.code, READ | WRITE)),
    "pkey_mprotect": lambda t: pkey_protect(t.code),
    "munmap_code": lambda t: unmap(t.code),
    "munmap_rodata": lambda t: unmap(t.rodata),
    "map_fixed_code": lambda t: map_over(t.code),
    "map_fixed_rodata": lambda t: map_over(t.rodata),
    "map_fixed_guard": lambda t: map_over(t.guard),
    "mremap_away": lambda t: move_away(t.code),
    "mremap_onto": lambda t: move_onto(t.code),
    "mremap_dontunmap": lambda t: move_and_keep(t.code),
    "mremap_duplicate_code": lambda t: duplicate(t.code),
    "mremap_duplicate_rodata": lambda t: duplicate(t.rodata),
    "remap_file_pages": lambda t: rotate(t.code),
    "madvise_dontneed": lambda t: advise(t.code, MADV_DONTNEED),
    "madvise_dontneed_rodata": lambda t: advise(t.rodata, MADV_DONTNEED),
    "madvise_remove": lambda t: advise(t.code, MADV_REMOVE),
    "madvise_remove_rodata": lambda t: advise(t.rodata, MADV_REMOVE),
    "madvise_populate_write": lambda t: advise(t.code, MADV_POPULATE_WRITE),
    "madvise_guard_and_replace": lambda t: guard_and_replace(t.code),
    "read_into_code": lambda t: read_into(t.code),
    "read_into_rodata": lambda t: read_into(t.rodata),
    "io_uring_buffer": lambda t: register_buffer(t.code),
    "userfaultfd": lambda t: serve_faults(t.code),
    "proc_self_mem": lambda t: write_file("/proc/self/mem", t.code),
    "proc_self_mem_rodata": lambda t: write_file("/proc/self/mem", t.rodata),
    "process_vm_writev_self": lambda t: write_vector(os.getpid(), t.code),
    "proc_self_fd": lambda t: map_descriptors("/proc/self/fd", t),
    "proc_self_map_files": lambda t: map_reopened(t.code, READ | WRITE, SHARED),
    "proc_self_map_files_rwx": lambda t: map_reopened(t.code, READ | WRITE | EXEC, SHARED),
    "proc_self_map_files_write": lambda t: write_reopened(t.code),
    "proc_self_map_files_splice": lambda t: splice_reopened(t.code),
    "proc_self_map_files_punch": lambda t: punch_reopened(t.code),
    "proc_self_map_files_truncate": lambda t: truncate_reopened(t.code),
    "child_proc_mem": lambda t: in_fork(lambda: write_file(f"/proc/{t.application}/mem", t.code)),
    "child_process_vm_writev": lambda t: in_fork(lambda: write_vector(t.application, t.code)),
    "child_ptrace": lambda t: in_fork(lambda: poke(t.application, t.code)),
    "process_vm_writev_writer": lambda t: write_vector(t.writer, writable_view(t.writer)),
    "process_vm_writev_writer_guess": guess_writer,
    "proc_writer_mem": lambda t: write_file(f"/proc/{t.writer}/mem", writable_view(t.writer)),
    "proc_writer_mem_open": lambda t: os.close(os.open(f"/proc/{t.writer}/mem", os.O_RDWR)),
    "proc_writer_maps": lambda t: require(writable_view(t.writer), "maps"),
    "proc_writer_fd": lambda t: map_descriptors(f"/proc/{t.writer}/fd", t),
    "pidfd_getfd_writer": lambda t: require(steal_descriptors(t.writer), "none"),
    "ptrace_attach_writer": lambda t: poke(t.writer, writable_view(t.writer)),
    "ptrace_seize_writer": lambda t: seize(t.writer),
}
BY_OUTSIDER: Final[dict[str, Callable[[Target], None]]] = {
    "outsider_proc_mem": lambda t: write_file(f"/proc/{t.application}/mem", t.code),
    "outsider_proc_mem_rodata": lambda t: write_file(f"/proc/{t.application}/mem", t.rodata),
    "outsider_process_vm_writev": lambda t: write_vector(t.application, t.code),
    "outsider_ptrace": lambda t: poke(t.application, t.code),
    "outsider_proc_fd": lambda t: map_descriptors(f"/proc/{t.application}/fd", t),
    "outsider_pidfd_getfd": map_stolen,
    "outsider_process_vm_writev_writer": lambda t: write_vector(t.writer, writable_view(t.writer)),
    "outsider_proc_writer_mem": lambda t: write_file(
        f"/proc/{t.writer}/mem", writable_view(t.writer)
    ),
    "outsider_ptrace_writer": lambda t: poke(t.writer, writable_view(t.writer)),
}
NEW_MEMORY: Final[dict[str, Callable[[Target], None]]] = {
    "new_anonymous_rwx": lambda _: new_anonymous(),
    "new_anonymous_rw_then_rx": lambda _: new_by_protection(),
    "new_file_rx": lambda _: new_file(),
    "new_memfd_rx": lambda _: new_memfd(),
    "new_shared_rx": lambda _: new_shared(),
    "new_program": lambda _: new_program(),
    "new_private_copy_of_code": lambda t: map_reopened(t.code, READ | WRITE | EXEC, PRIVATE),
    "new_library_text": lambda _: overwrite_library(),
}
ATTACKS: Final = BY_APPLICATION | BY_OUTSIDER | NEW_MEMORY
