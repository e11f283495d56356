"""`interlock doctor`: what it says of this machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from interlock.core.attack_steps import ATTACKS, BY_OUTSIDER
from interlock.core.attacks import OUTSIDE_THE_REGION

if TYPE_CHECKING:
    from .conftest import Cli


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What `interlock doctor --json` says."""
    command = [sys.executable, "-m", "interlock", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(json.loads(done.stdout))


def test_json_has_each_attack_by_each_user_before_and_after_hardening(
    found: dict[str, Any],
) -> None:
    assert set(found) == {"level", "writer", "mapping", "problem", "attacks"}
    users = ["ordinary", "present"] if os.geteuid() == 0 else ["present"]
    assert (found["level"], found["writer"]) == ("sealed", "process")
    assert "seals" in found["mapping"]
    assert [(each["as"], each["hardened"], each["name"]) for each in found["attacks"]] == [
        (user, is_hardened, name)
        for user in users
        for is_hardened in (False, True)
        for name in ATTACKS
    ]
    assert {each["outcome"] for each in found["attacks"]} <= {"denied", "allowed"}
    assert all(each["by"] for each in found["attacks"] if each["outcome"] == "denied")


# Root's, after hardening: by processes that are not hardened, and into its own private mappings.
ROOTS_HARDENED = {"new_library_text"} | {name for name in BY_OUTSIDER if "writer" in name}


def test_what_succeeds_is_what_the_documents_say(found: dict[str, Any]) -> None:
    allowed = {
        (each["as"], each["hardened"], each["name"])
        for each in found["attacks"]
        if each["outcome"] == "allowed"
    }
    is_root = os.geteuid() == 0
    ordinary = "ordinary" if is_root else "present"

    # Hardened, an ordinary user gets nowhere; before, only executable memory of their own.
    assert {name for user, hardened, name in allowed if user == ordinary and hardened} == set()
    plain = {name for user, hardened, name in allowed if user == ordinary and not hardened}
    assert plain <= OUTSIDE_THE_REGION
    assert {"new_anonymous_rwx", "new_file_rx"} <= plain
    # Root reaches the writer process, and is told so, until the process is hardened.
    root = {(hardened, name) for user, hardened, name in allowed if is_root and user == "present"}
    assert {name for hardened, name in root if hardened} <= ROOTS_HARDENED
    assert ("proc_writer_mem" in {name for hardened, name in root if not hardened}) == is_root


def test_text_names_level_and_what_denied_each_attack(cli: Cli) -> None:
    done = cli("doctor", "--require", "sealed")

    assert done.status == 0
    assert done.out.startswith("level    sealed\nwriter   process")
    assert "mprotect_code_rw " in done.out
    assert "denied   mprotect: Permission denied" in done.out
    assert "\033" not in done.out


def test_an_unknown_level_is_a_usage_error(cli: Cli) -> None:
    assert cli("doctor", "--require", "steel").status == 2


# ---- Where no level can be had: each cause simulated, and the one advice that belongs to it

FILTERED = """
import ctypes, errno, struct, sys
import interlock.cli.main, interlock.runtime.doctor, interlock.cli.doctor

# seccomp: the system call, when argument `at` has these bits (None: always), says this error.
def forbid(number, error, at=None, bits=0):
    jump = lambda code, k, yes, no: struct.pack("HBBI", code, yes, no, k)
    program = [jump(0x20, 0, 0, 0), jump(0x15, number, 0, 3 if at is not None else 1)]
    if at is not None:
        program += [jump(0x20, 16 + 8 * at, 0, 0), jump(0x45, bits, 0, 1)]
    program += [jump(0x06, 0x50000 | error, 0, 0), jump(0x06, 0x7FFF0000, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(program))
    filter = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter) == 0
{prepare}
status = interlock.cli.main.main(["doctor", *sys.argv[1:]])
sys.exit(status)
"""
MEMFD_CREATE, FCNTL, CLONE, EXECVE, MMAP, SOCKETPAIR = 319, 72, 56, 59, 9, 53
NO_PROCESS = """
import os, resource
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
"""
CAUSES = {
    "seccomp forbids memfd_create": (
        f"forbid({MEMFD_CREATE}, errno.EPERM)",
        "allow it in the container",
    ),
    "no memfd_create": (f"forbid({MEMFD_CREATE}, errno.ENOSYS)", "use Linux 5.1 or later"),
    "memfd_noexec": (f"forbid({MEMFD_CREATE}, errno.EACCES)", "set vm.memfd_noexec to 0 or 1"),
    "gVisor: no seals": (f"forbid({FCNTL}, errno.EINVAL, 1, 1024 | 8)", "not gVisor"),
    "seccomp forbids clone": (f"forbid({CLONE}, errno.EPERM)", "allow clone"),
    "no process left": (f"forbid({CLONE}, errno.EAGAIN)", "raise RLIMIT_NPROC"),
    "seccomp forbids execve": (f"forbid({EXECVE}, errno.EPERM)", "forbids starting programs"),
    "noexec mount": (f"forbid({EXECVE}, errno.EACCES)", "no noexec mount"),
    "no executable mapping": (f"forbid({MMAP}, errno.EACCES, 2, 4)", "MemoryDenyWriteExecute=no"),
    "no descriptor left": (f"forbid({SOCKETPAIR}, errno.EMFILE)", "raise RLIMIT_NOFILE"),
    "hardened": ("interlock.core.harden()", "make an engine, before harden_process()"),
}


def _filtered(prepare: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = FILTERED.replace("{prepare}", prepare)
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86-64: numbers of system calls")
@pytest.mark.parametrize("cause", CAUSES)
def test_without_code_memory_it_says_which_why_and_what_to_change(cause: str) -> None:
    prepare, advice = CAUSES[cause]
    done = _filtered(prepare, "--json")

    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert (found["level"], found["writer"], found["mapping"], found["attacks"]) == (
        "none",
        "none",
        [],
        [],
    )
    why, change = found["problem"].split("\n")
    assert why
    assert advice in change


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86-64: numbers of system calls")
def test_text_without_code_memory_has_problem_and_advice() -> None:
    done = _filtered(CAUSES["memfd_noexec"][0], "--require", "sealed")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "level    none"
    assert lines[3].startswith("problem  open the code region: ")
    assert lines[3].endswith("memfd_create (Permission denied)")
    assert lines[4].startswith("         executable memfds are forbidden here: set vm.memfd_noexec")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who becomes an ordinary user")
def test_a_real_limit_of_processes_is_told() -> None:
    done = _filtered(NO_PROCESS, "--json")

    assert (done.returncode, done.stderr) == (1, "")
    assert "raise RLIMIT_NPROC" in json.loads(done.stdout)["problem"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a pid namespace of its own")
def test_a_real_memfd_noexec_is_told() -> None:
    switch = 'echo 2 >/proc/sys/vm/memfd_noexec && exec "$0" -m interlock doctor --json'
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", switch, sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "memfd_noexec" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"needs vm.memfd_noexec of a pid namespace: {done.stderr.strip()}")

    assert (done.returncode, done.stderr) == (1, "")
    assert "set vm.memfd_noexec to 0 or 1" in json.loads(done.stdout)["problem"]
