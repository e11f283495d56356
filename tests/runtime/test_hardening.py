"""`harden_process`: what goes on working, and what does not any more.  Each test in a process of its own."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

PRELUDE = """
import ctypes, mmap, os, subprocess, sys, threading
import interlock
engine = interlock.Engine()
interlock.harden_process()
interlock.harden_process()
"""


def _execute(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(script: str) -> str:
    return _execute(PRELUDE + script)


def test_an_engine_with_a_cache_that_is_open_goes_on_compiling() -> None:
    out = _execute("""
import interlock
engine = interlock.Engine(interlock.Config(cache=True))
interlock.harden_process()
instance = engine.instantiate(engine.compile_wat('(module (func (export "f") (result i32) i32.const 7))'))
print(instance.exports.f())
""")

    assert out == "7\n"


def test_engines_that_are_open_go_on_compiling_publishing_and_trapping() -> None:
    out = _run("""
instance = engine.instantiate(engine.compile_wat('''(module (memory 1 2)
  (func (export "f") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "g") (result i32) (memory.grow (i32.const 1))))'''))
print(instance.exports.f(0), instance.exports.g())
for _ in range(3):
    try:
        instance.exports.f(1 << 20)
    except interlock.Trap as trap:
        print(trap.kind)
with interlock.Region(4096) as region:
    print(region.publish(bytes.fromhex("b807000000c3"), entries={"f": 0}).function("f", "i32()")())
engine.close()
""")

    assert out.splitlines() == ["0 1", *["out of bounds memory access"] * 3, "7"]


@pytest.mark.parametrize(
    "attempt",
    [
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "os.memfd_create('x')",
        "os.pidfd_open(os.getpid()) and ctypes.CDLL('libutil.so.1')",
        "subprocess.run(['/bin/true'], check=True)",
    ],
)
def test_new_executable_memory_is_refused_in_every_thread(attempt: str) -> None:
    out = _run(f"""
seen = []
def attempt():
    try:
        {attempt}
        seen.append("allowed")
    except (OSError, subprocess.CalledProcessError):
        seen.append("refused")
attempt()
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
print(*seen)
engine.close()
""")

    assert out == "refused refused\n"


def test_threads_that_run_already_are_hardened_too() -> None:
    out = _run("")
    assert out == ""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import mmap, threading
import interlock
go, seen = threading.Event(), []
def attempt():
    go.wait()
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
        seen.append("allowed")
    except OSError:
        seen.append("refused")
thread = threading.Thread(target=attempt)
thread.start()
interlock.harden_process()
go.set()
thread.join()
print(*seen)
""",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "refused\n"


def test_a_new_engine_says_why_it_cannot_compile() -> None:
    out = _run("""
try:
    interlock.Engine()
except interlock.CompileError as error:
    print(error)
engine.close()
""")

    assert "Operation not permitted" in out
    assert "a hardened process starts no programs: make engines before" in out


# ---- What goes on working: each as root (if the tests are) and as an ordinary user

ORDINARY = """
import ctypes, os
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a process is that was never root's
"""


@pytest.fixture(params=["present", "ordinary"])
def run_hardened(request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """Runs a script whose first part loads what it needs, as the present user; the second runs hardened."""
    folders = Path(interlock.__file__).parents
    if request.param == "ordinary" and not all(each.stat().st_mode & 1 for each in folders):
        pytest.skip("needs the package where an ordinary user can read it")

    def run(before: str, after: str) -> str:
        user = ORDINARY if request.param == "ordinary" else ""
        load = """
import interlock, interlock.core, interlock.runtime.hardening as hardening
hardening._load_used_later()
"""
        script = load + textwrap.dedent(before) + user + "\ninterlock.harden_process()\n"
        return _execute(script + textwrap.dedent(after))

    return run


def test_interlock_goes_on_in_all_its_ways(run_hardened: Callable[[str, str], str]) -> None:
    out = run_hardened(
        """
        import os, signal, threading
        engine = interlock.Engine()
        """,
        """
        text = '''(module (import "host" "call" (func $call (param i32) (result i32))) (memory 1 2)
          (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
          (func (export "ask") (param i32) (result i32) (call $call (local.get 0)))
          (func (export "spin") (loop (br 0)))
          (func $deep (export "deep") (call $deep)))'''
        def make():
            module = engine.compile_wat(text)
            return engine.instantiate(module, {"host": {"call": lambda x: x + 1}})
        instance = make()
        print(instance.exports.load(0), instance.exports.ask(41))
        for name, *arguments in (("load", 1 << 20), ("deep",)):
            try:
                instance.exports[name](*arguments)
            except interlock.Trap as trap:
                print(trap.kind)
        try:
            with instance.deadline(0.05):
                instance.exports.spin()
        except interlock.Trap as trap:
            print(trap.kind)
        results = []
        threads = [threading.Thread(target=lambda: results.append(make().exports.ask(1)))
                   for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(results)
        run = make()
        print(run.exports.ask(1), flush=True)
        child = os.fork()
        if child == 0:
            print(run.exports.ask(2))
            try:
                interlock.Region(4096).publish(bytes.fromhex("c3"), entries={"f": 0})
            except interlock.CodeMemoryError as error:
                print(type(error).__name__, flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        engine.close()
        """,
    )

    assert out.splitlines() == [
        "0 42",
        "out of bounds memory access",
        "call stack exhausted",
        "interrupted",
        "[2, 2, 2, 2]",
        "2",
        "3",
        "CodeMemoryError",
        "0",
    ]


def test_threads_end_and_names_are_looked_up(run_hardened: Callable[[str, str], str]) -> None:
    """Both load a shared library late: libgcc_s by pthread_exit, unicodedata by the codec of host names."""
    out = run_hardened(
        "import socket, threading, time",
        """
        def spin():
            while True:
                pass
        for _ in range(4):
            threading.Thread(target=spin, daemon=True).start()
        print(len(socket.getaddrinfo("localhost", 80)) > 0, flush=True)
        """,
    )

    assert out == "True\n"


def test_numpy_goes_on(run_hardened: Callable[[str, str], str]) -> None:
    pytest.importorskip("numpy", reason="needs numpy")
    out = run_hardened(
        "import numpy, numpy.linalg, numpy.fft, numpy.random",
        """
        a = numpy.arange(16.0).reshape(4, 4) + numpy.eye(4)
        print(round(float((numpy.linalg.inv(a) @ a).trace())))
        print(int(numpy.fft.fft(numpy.ones(8))[0].real))
        big = numpy.random.default_rng(1).random((300, 300))
        print(numpy.allclose(big @ numpy.linalg.inv(big), numpy.eye(300)))
        """,
    )

    assert out == "4\n8\nTrue\n"


DOUBLE = """
instance = engine.instantiate(engine.compile_wat('''(module
  (func (export "double") (param i32) (result i32) (i32.add (local.get 0) (local.get 0))))'''))
"""


def test_flask_goes_on_as_a_test_client_and_as_a_server(
    run_hardened: Callable[[str, str], str],
) -> None:
    pytest.importorskip("flask", reason="needs flask")
    out = run_hardened(
        """
import threading, urllib.request
import flask, flask.testing, click.testing, werkzeug.serving, werkzeug.test
engine = interlock.Engine()
app = flask.Flask("app")
@app.get("/double/<int:value>")
def double(value):
    return flask.jsonify(value=instance.exports.double(value))
@app.get("/template/<name>")
def template(name):
    return flask.render_template_string("<b>{{ name }}</b>", name=name)
app.test_client()  # loads what it needs from files that may be closed to an ordinary user
""",
        DOUBLE
        + """
client = app.test_client()
print(client.get("/double/21").json, client.get("/template/<x>").text)
server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
thread = threading.Thread(target=server.serve_forever)
thread.start()
answers = []
def ask(value):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/double/{value}", timeout=30) as got:
        answers.append(got.read().decode().strip())
clients = [threading.Thread(target=ask, args=(value,)) for value in range(8)]
[each.start() for each in clients]
[each.join() for each in clients]
server.shutdown()
thread.join()
server.server_close()
print(sorted(answers))
engine.close()
""",
    )

    expected = sorted(f'{{"value":{2 * value}}}' for value in range(8))
    assert out == f"{{'value': 42}} <b>&lt;x&gt;</b>\n{expected}\n"


def test_uvicorn_with_starlette_goes_on(run_hardened: Callable[[str, str], str]) -> None:
    pytest.importorskip("uvicorn", reason="needs uvicorn")
    pytest.importorskip("starlette", reason="needs starlette")
    out = run_hardened(
        """
import socket, threading, urllib.request
import starlette.applications, starlette.responses, starlette.routing, uvicorn
import anyio, anyio._backends._asyncio, asyncio
import uvicorn.loops.asyncio, uvicorn.protocols.http.h11_impl, uvicorn.lifespan.off
engine = interlock.Engine()
def answer(request):  # not async: run in a thread of its own
    value = instance.exports.double(int(request.path_params["value"]))
    return starlette.responses.PlainTextResponse(str(value))
app = starlette.applications.Starlette(
    routes=[starlette.routing.Route("/double/{value}", answer)])
""",
        DOUBLE
        + """
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
config = uvicorn.Config(app, loop="asyncio", http="h11", lifespan="off", log_level="error")
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
thread.start()
address = "http://127.0.0.1:%d/double/" % listener.getsockname()[1]
try:
    print([urllib.request.urlopen(address + str(value), timeout=30).read() for value in range(3)])
finally:
    server.should_exit = True
    thread.join()
engine.close()
""",
    )

    assert out == "[b'0', b'2', b'4']\n"


# ---- What does not


def _refused_calls(repository: Path) -> dict[str, str]:
    """The system calls of the filter's tables, and for which architecture."""
    table = (repository / "core/tables/harden_linux.def").read_text(encoding="utf-8")
    found = dict.fromkeys(
        re.findall(r"^IL_REFUSED.*?\b(?:IL_)?SYS_(\w+)", table, re.MULTILINE), "all"
    )
    for header in sorted((repository / "core/src").glob("*/arch_abi.h")):
        own = re.search(r"#define IL_REFUSED_OF_ARCH (.*)", header.read_text(encoding="utf-8"))
        assert own is not None
        found |= dict.fromkeys(re.findall(r"\bSYS_(\w+)", own[1]), header.parent.name)
    return {name.lower(): where for name, where in found.items()}


def test_the_page_lists_what_the_filter_refuses(repository: Path) -> None:
    page = (repository / "docs/reference/harden.md").read_text(encoding="utf-8")
    section = page.split("## System calls")[1].split("\n## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| `")]
    listed = {
        name: where.strip() for names, where in rows for name in re.findall(r"`(\w+)`", names)
    }

    assert listed == _refused_calls(repository)


X86_64_NUMBERS = {
    "bpf": 321,
    "execve": 59,
    "execveat": 322,
    "finit_module": 313,
    "init_module": 175,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "io_uring_setup": 425,
    "ioperm": 173,
    "iopl": 172,
    "memfd_create": 319,
    "modify_ldt": 154,
    "perf_event_open": 298,
    "personality": 135,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "ptrace": 101,
    "remap_file_pages": 216,
    "userfaultfd": 323,
    "uselib": 134,
}
CONDITIONAL = {"mmap", "mprotect", "pkey_mprotect", "prctl", "shmat"}
NEEDS_X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86-64")


@NEEDS_X86_64
def test_each_listed_call_is_refused_with_eperm(repository: Path) -> None:
    assert set(X86_64_NUMBERS) | CONDITIONAL == {
        name for name, where in _refused_calls(repository).items() if where in {"all", "x86_64"}
    }
    out = _run(f"""
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    libc.syscall(*(ctypes.c_long(word) for word in words))
    return ctypes.get_errno()
numbers = {X86_64_NUMBERS!r}
print([name for name, number in numbers.items() if call(number, -1, 0, 0, 0, 0, 0) != 1])
anonymous = 0x22
print(call(9, 0, 4096, 3, anonymous, -1, 0), call(9, 0, 4096, 5, anonymous, -1, 0))
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(4096), 3, anonymous, -1, ctypes.c_long(0))
print(call(10, at, 4096, 1), call(10, at, 4096, 5), call(329, at, 4096, 7, -1))
print(call(30, -1, 0, 0), call(30, -1, 0, 0o100000))  # shmat, SHM_EXEC
print(call(157, 3), call(157, 4, 1))  # PR_GET_DUMPABLE, PR_SET_DUMPABLE
print(call(0x40000000 | 39))  # getpid of the x32 system calls
engine.close()
""")

    assert out.splitlines() == ["[]", "0 1", "0 1 1", "22 1", "0 1", "1"]


@NEEDS_X86_64
def test_the_32_bit_system_calls_are_refused() -> None:
    out = _execute("""
import ctypes, mmap, os
import interlock
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(bytes.fromhex("53 b814000000 cd80 5b c3"))  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
print(call() in {os.getpid(), -38})  # ENOSYS: a kernel without them
interlock.harden_process()
print(call())
""")

    assert out == "True\n-1\n"


def test_an_ordinary_user_can_not_write_library_text_through_the_memory_file() -> None:
    out = _execute(f"""
import ctypes, os
import interlock
from interlock import core
{ORDINARY}
libc = ctypes.CDLL(None)
at = ctypes.cast(libc.getpid, ctypes.c_void_p).value
def write():
    try:
        fd = os.open("/proc/self/mem", os.O_RDWR)
        os.pwrite(fd, ctypes.string_at(at, 4), at)
        return "written"
    except OSError as error:
        return error.strerror
print(write())
core.harden()
print(write(), libc.prctl(4, 1, 0, 0, 0), write(), sep=", ")
""")

    assert out.splitlines() == ["written", "Permission denied, -1, Permission denied"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root has the capability")
def test_no_thread_keeps_the_capability_that_reaches_the_writer() -> None:
    out = _execute("""
import threading
import interlock
from interlock import core
core.open_region()
writer = core.describe_region().writer_pid
go, seen = threading.Event(), []
def attempt():
    go.wait()
    try:
        open(f"/proc/{writer}/mem", "r+b").close()
        seen.append("opened")
    except PermissionError:
        seen.append("refused")
threads = [threading.Thread(target=attempt) for _ in range(8)]
[thread.start() for thread in threads]
open(f"/proc/{writer}/mem", "r+b").close()
interlock.harden_process()
go.set()
[thread.join() for thread in threads]
attempt()
print(set(seen), len(seen))
""")

    assert out == "{'refused'} 9\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root has the capability")
def test_a_thread_that_can_not_give_it_up_is_an_error_and_no_filter_is_set() -> None:
    out = _execute("""
import mmap, signal, threading
import interlock
go, ready = threading.Event(), threading.Event()
def stubborn():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
    ready.set()
    go.wait()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGURG})
thread = threading.Thread(target=stubborn)
thread.start()
ready.wait()
before = signal.getsignal(signal.SIGURG)
try:
    interlock.harden_process()
except interlock.CodeMemoryError as error:
    print(error)
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
print(signal.getsignal(signal.SIGURG) == before)
go.set()
thread.join()
interlock.harden_process()
""")

    assert "a thread keeps CAP_SYS_PTRACE: it blocks SIGURG" in out
    assert out.splitlines()[1] == "True"
