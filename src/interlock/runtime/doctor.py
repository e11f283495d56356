"""What protects code memory on this machine: every attack is tried, in child processes, against a live region.

Two facts are reported and never rounded up into one word: who can write, and how the mapping is held.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import core
from interlock.core import attacks
from interlock.errors import CodeMemoryError
from interlock.runtime.config import Protection
from interlock.runtime.protection import protection_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS_MAX = 120
# What failed, with which error (None: any), and what to change.  The first that fits.
_ADVICE = (
    (
        "memfd_create",
        errno.EACCES,
        "executable memfds are forbidden here: set vm.memfd_noexec to 0 or 1 (sysctl; it counts for a pid namespace)",
    ),
    ("memfd_create", errno.ENOSYS, "this kernel has no memfd_create: use Linux 5.1 or later"),
    (
        "memfd_create",
        None,
        "a seccomp filter forbids memfd_create: allow it in the container's profile, or do not harden the process before",
    ),
    (
        "SEALS",
        None,
        "this kernel does not seal memfds against future writes: use Linux 5.1 or later, not gVisor (runsc)",
    ),
    (
        "clone",
        errno.EAGAIN,
        "no more processes may be started: raise RLIMIT_NPROC (ulimit -u) or pids.max of the cgroup",
    ),
    (
        "clone",
        None,
        "a seccomp filter forbids starting processes: allow clone in the container's profile",
    ),
    (
        "execve of the writer",
        errno.ENOENT,
        "the package is not complete: install it again, so that interlock-writer lies beside libinterlock.so",
    ),
    (
        "execve of the writer",
        errno.EACCES,
        "the writer program may not be executed: install the package where programs may run (no noexec mount)",
    ),
    (
        "execve of the writer",
        None,
        "a seccomp filter forbids starting programs: allow execve, or do not harden the process before",
    ),
    (
        "no sign of life",
        None,
        "the writer process ended at its start: look for a memory limit or a filter that kills",
    ),
    (
        "of the code view",
        None,
        "executable mappings of memfds are forbidden: allow them (SELinux: execmem; systemd: MemoryDenyWriteExecute=no)",
    ),
    ("of the reservation", None, "too little address space: raise RLIMIT_AS (ulimit -v)"),
    ("was hardened", None, "open a region, or make an engine, before harden_process()"),
    ("socketpair", None, "too few descriptors: raise RLIMIT_NOFILE (ulimit -n)"),
)
_OTHERWISE = "code memory needs memfd_create with seals (Linux 5.1), executable memfds, and leave to start a process"


def advice_for(error: CodeMemoryError) -> str:
    """What to change on this machine, so that code memory can be had."""
    for operation, number, advice in _ADVICE:
        if operation in error.status and number in {None, error.errno}:
            return advice
    return _OTHERWISE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attack: by whom, before or after `harden_process`, and what came of it."""

    name: str
    user: str  # "present" or "ordinary"
    is_hardened: bool
    is_denied: bool
    by: str  # what denied it, in the system's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """How code memory is held here."""

    level: Protection | None  # None: no code memory can be had, `problem` says why
    writer: str  # who can write: "process", "callback", "anyone" or "none"
    mapping: tuple[str, ...]  # how the mapping is held: "seals", "mseal"
    attempts: tuple[Attempt, ...]
    problem: str = ""

    def allowed(self, *, is_hardened: bool, user: str) -> list[Attempt]:
        """The attacks that succeeded."""
        return [
            each
            for each in self.attempts
            if not each.is_denied and (each.is_hardened, each.user) == (is_hardened, user)
        ]


def diagnose() -> Diagnosis:
    """Open a region, attack it in every way, and say what held.

    As root every attack is also tried as an ordinary user.  The level counts only if an ordinary user gets nowhere.
    """
    try:
        core.open_region()
    except CodeMemoryError as error:
        problem = f"{error}\n{advice_for(error)}"
        return Diagnosis(level=None, writer="none", mapping=(), attempts=(), problem=problem)
    info = core.describe_region()
    if info.writer != core.WRITER_PROCESS:
        is_callback = info.writer == core.WRITER_CALLBACK
        return Diagnosis(
            level=protection_of(info),
            writer="callback" if is_callback else "anyone",
            mapping=(),
            attempts=(),
            problem="no attack was tried: they are written for Linux, and nothing of this has run on a Mac",
        )
    mapping = tuple(
        name for name, has in (("seals", info.has_seals), ("mseal", info.has_mseal)) if has
    )
    users = ("ordinary", "present") if os.geteuid() == 0 else ("present",)
    attempts = []
    try:
        with _readable_writer() as writer_path:
            for user in users:
                for is_hardened in (False, True):
                    attempts += _attack(writer_path, user, is_hardened=is_hardened)
    except (OSError, subprocess.SubprocessError) as error:
        problem = f"not proven, the attacks can not be run: {error}\nallow more processes and files"
        return Diagnosis(
            level=None, writer="process", mapping=mapping, attempts=(), problem=problem
        )
    held = all(
        each.is_denied
        for each in attempts
        if each.user == users[0] and each.name not in attacks.OUTSIDE_THE_REGION
    )
    return Diagnosis(
        level=Protection.SEALED if held else None,
        writer="process",
        mapping=mapping,
        attempts=tuple(attempts),
        problem="" if held else "an ordinary user's attack succeeded",
    )


@contextlib.contextmanager
def _readable_writer() -> Iterator[str]:
    """The writer program where every user can start it: root's files may be closed to others."""
    with tempfile.TemporaryDirectory(prefix="interlock-doctor-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103, PTH101  (so that an ordinary user can enter)
        path = f"{folder}/interlock-writer"
        shutil.copy(core.WRITER_PATH, path)
        os.chmod(path, 0o755)  # noqa: S103, PTH101  (likewise)
        yield path


def _attack(writer_path: str, user: str, *, is_hardened: bool) -> list[Attempt]:
    hardening = "hardened" if is_hardened else "plain"
    done = subprocess.run(
        attacks.command(writer_path, "sealed", user, hardening),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    if done.returncode != 0:
        detail = done.stderr.strip() or f"exit status {done.returncode}"
        raise subprocess.SubprocessError(detail)
    reports = [attacks.Report(**json.loads(line)) for line in done.stdout.splitlines()]
    return [_attempt(report, user, is_hardened=is_hardened) for report in reports]


def _attempt(report: attacks.Report, user: str, *, is_hardened: bool) -> Attempt:
    by = report.by
    is_denied = not report.succeeded
    if report.succeeded and not report.changed:
        if report.name in attacks.HARMLESS:
            is_denied, by = True, "the page comes back from the sealed file"
        elif report.name in attacks.LEAKS:
            is_denied, by = True, "an address, and no way to write there"
    return Attempt(name=report.name, user=user, is_hardened=is_hardened, is_denied=is_denied, by=by)
