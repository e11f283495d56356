"""libinterlock_apple beyond the scenarios: threads, signals, lists in loaded libraries, settings, limits, build systems."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from interlock import contract
from interlock.contract.rules_callback import ALLOWLIST_ENTRIES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.apple.conftest import Toolchain

LISTED = "profile=macos-arm64-allowlist"
LATE = f"{LISTED} entitlements=allow-jit,jit-write-allowlist,jit-write-allowlist-freeze-late"

# ---- Threads and signals -----------------------------------------------------------------------------------------------------


def test_executing_threads_wait_for_writers_and_go_on(
    toolchain: Toolchain, compiled: Callable[[str], Path]
) -> None:
    run = toolchain.run(compiled("threads"), "run")

    assert (run.status, run.stdout, run.stderr) == (0, "wrong: 0\n", "")


def test_writer_that_waits_for_an_executing_thread_is_a_deadlock_with_both_names(
    toolchain: Toolchain, compiled: Callable[[str], Path]
) -> None:
    run = toolchain.run(compiled("threads"), "deadlock", settings="wait-ms=50")

    assert run.signal == "SIGABRT"
    found = re.search(r"deadlock: thread (\d+) has waited 50 ms .*while thread (\d+)", run.stderr)
    assert found is not None
    assert found[1] != found[2]


def test_thread_that_ends_in_rw_state_keeps_nobody_waiting(
    toolchain: Toolchain, compiled: Callable[[str], Path]
) -> None:
    run = toolchain.run(compiled("threads"), "ended", settings="wait-ms=50")

    assert (run.status, run.stdout) == (0, "7\n")


def test_handlers_of_the_program_are_told_what_a_mac_tells(
    toolchain: Toolchain, compiled: Callable[[str], Path]
) -> None:
    run = toolchain.run(compiled("signals"))

    assert run.status == 0, run.stdout


def test_exception_out_of_a_callback_leaves_the_thread_in_rw(
    toolchain: Toolchain, repository: Path, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    source = repository / "tests/apple/programs/exceptions.cpp"
    program = toolchain.compile(tmp_path / "exceptions", source)

    native, intel = (
        toolchain.run(program, settings=f"profile={name}") for name in ("macos-arm64", "rosetta")
    )

    assert (native.stdout, native.signal) == ("caught\n", "SIGBUS")
    assert native.stderr.startswith("interlock: C4: SIGBUS at ")
    assert (intel.stdout, intel.status) == ("caught\n", 5)


# ---- Memory ------------------------------------------------------------------------------------------------------------------


def test_memory_behaves_as_on_a_mac(
    toolchain: Toolchain, compiled: Callable[[str], Path], tmp_path: Path
) -> None:
    run = toolchain.run(compiled("memory"), str(tmp_path / "file"))

    assert run.status == 0, run.stdout


def test_table_of_mappings_holds_its_limit_and_no_more(
    toolchain: Toolchain, compiled: Callable[[str], Path], repository: Path
) -> None:
    """One entry is the program's own, and the last call of mmap leaves room for cutting three."""
    header = (repository / "apple/src/memory_map.h").read_text(encoding="utf-8")
    (limit,) = re.findall(r"IL_ENTRIES_MAX = (\d+)", header)

    run = toolchain.run(compiled("memory"), "-", "fill")

    assert int(run.stdout) == int(limit) - 1 - 3


# ---- Lists -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(
    toolchain: Toolchain, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Builds a library with the callbacks of these names, each with a list of its own."""
    source = repository / "tests/apple/programs/list_library.c"

    def build(*names: str, flags: tuple[str, ...] = ()) -> Path:
        directory = tmp_path_factory.mktemp("library")
        objects = []
        for name in names:
            part = directory / f"{name}.o"
            toolchain.compile(part, source, flags=("-c", "-fPIC", f"-DNAME={name}", *flags))
            objects.append(part)
        out = directory / f"lib{names[0]}.so"
        return toolchain.compile(out, *objects, flags=("-shared", *flags))

    return build


@pytest.fixture(scope="module")
def linked(
    toolchain: Toolchain, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Builds the program with these libraries linked."""
    source = repository / "tests/apple/programs/lists.c"

    def build(*libraries: Path) -> Path:
        words = tuple(
            word for each in libraries for word in (str(each), f"-Wl,-rpath,{each.parent}")
        )
        out = tmp_path_factory.mktemp("lists") / "lists"
        return toolchain.compile(out, source, flags=("-Wl,--no-as-needed", *words))

    return build


def test_linked_library_is_listed_and_a_loaded_one_is_not(
    toolchain: Toolchain, library: Callable[..., Path], linked: Callable[..., Path]
) -> None:
    patch, late = library("patch"), library("late")
    program = linked(patch)

    run = toolchain.run(program, "own", "patch", str(late), "late", settings=LISTED)

    assert run.stdout == "own 1\npatch 2\nloaded 1\n"
    assert (run.signal, run.stderr.splitlines()[1][:14]) == ("SIGTRAP", "interlock: C18")


def test_freezing_late_lists_what_is_loaded_by_then(
    toolchain: Toolchain, library: Callable[..., Path], linked: Callable[..., Path]
) -> None:
    early, late = library("early"), library("late")
    words = (str(early), "freeze", "own", "early", str(late), "late")

    run = toolchain.run(linked(), *words, settings=LATE)

    assert run.stdout == "loaded 1\nown 1\nearly 2\nloaded 1\n"
    assert (run.signal, run.stderr.splitlines()[1][:13]) == ("SIGTRAP", "interlock: F5")


def test_second_list_of_one_image_is_ignored(
    toolchain: Toolchain, library: Callable[..., Path], linked: Callable[..., Path]
) -> None:
    run = toolchain.run(linked(library("first", "second")), "first", "second", settings=LISTED)

    assert run.stdout == "first 2\n"
    assert (run.signal, run.stderr.splitlines()[1][:14]) == ("SIGTRAP", "interlock: C11")


def test_list_survives_stripping_and_garbage_collection(
    toolchain: Toolchain, library: Callable[..., Path], linked: Callable[..., Path]
) -> None:
    flags = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s")
    patch = library("patch", flags=flags)
    image = bytearray(patch.read_bytes())
    image[0x28:0x30] = bytes(8)  # e_shoff
    image[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    patch.write_bytes(image)

    run = toolchain.run(linked(patch), "patch", settings=LISTED)

    assert (run.status, run.stdout) == (0, "patch 2\n")


def test_all_images_share_2047_entries(
    toolchain: Toolchain, library: Callable[..., Path], linked: Callable[..., Path]
) -> None:
    many, one = library("many", flags=("-DFILL",)), library("one")

    fits = toolchain.run(linked(many), "many", settings=LISTED)
    does_not = toolchain.run(linked(many, one), "own", settings=LISTED)
    unlisted = toolchain.run(linked(many, one), "own", settings="profile=macos-arm64")

    assert ALLOWLIST_ENTRIES_MAX == 2047
    assert (fits.status, fits.stdout) == (0, "many 2\n")
    assert (does_not.signal, does_not.stdout) == ("SIGTRAP", "")
    assert does_not.stderr.splitlines()[0] == contract.rule("C15").effects[0].message
    assert (unlisted.status, unlisted.stdout) == (0, "own 1\n")


# ---- Settings ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["profile=rosetta"], ["0", "page 4096"]),
        (["profile=macos-arm64-hardened macos=11.2 jit-regions=many"], ["0", "page 16384"]),
        (["", "  verbose=0  wait-ms=5 entitlements="], ["0", "0", "page 16384"]),
        (["profile=macos-arm64-allowlist", "profile=rosetta"], ["0", "-1 EBUSY", "page 16384"]),
        (["use", "profile=rosetta"], ["1", "-1 EBUSY", "page 16384"]),
        (["profile=mac"], ["-1 EINVAL", "page 16384"]),
        (["profile=rosetta macos=eleven"], ["-1 EINVAL", "page 16384"]),
        (["entitlements=allow-jit,unknown"], ["-1 EINVAL", "page 16384"]),
        (["jit-regions=two"], ["-1 EINVAL", "page 16384"]),
        (["wait-ms=3600000"], ["0", "page 16384"]),
        (["wait-ms=3600001"], ["-1 EINVAL", "page 16384"]),
        (["profile=macos-arm64 macos=10.15"], ["-1 EINVAL", "page 16384"]),
        (["profile=macos-x86_64 macos=10.15"], ["0", "page 4096"]),
        ([" " * 1024], ["0", "page 16384"]),
        ([" " * 1025], ["-1 EINVAL", "page 16384"]),
    ],
)
def test_configure_takes_settings_once_and_in_time(
    toolchain: Toolchain, compiled: Callable[[str], Path], words: list[str], answers: list[str]
) -> None:
    run = toolchain.run(compiled("settings"), *words)

    assert [line.strip() for line in run.stdout.splitlines()] == answers


def test_settings_of_the_environment_that_are_not_understood_end_the_program(
    toolchain: Toolchain, compiled: Callable[[str], Path]
) -> None:
    run = toolchain.run(compiled("settings"), settings="profile=macos-arm64 colour=red")

    assert (run.status, run.stdout) == (2, "")
    assert run.stderr == "interlock: settings of libinterlock_apple: not understood: colour=red\n"


# ---- Build systems -----------------------------------------------------------------------------------------------------------


def test_pkg_config_finds_the_library(
    toolchain: Toolchain, repository: Path, tmp_path: Path
) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("needs pkg-config")
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "interlock_apple"],
        env={"PKG_CONFIG_PATH": f"{toolchain.prefix}/lib/pkgconfig", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    source = repository / "examples/apple/calculator.c"
    program = tmp_path / "calculator"
    subprocess.run(["gcc", source, *shlex.split(found.stdout), "-o", program], check=True)

    assert toolchain.run(program, "6", "7", "*").stdout == "42\n"


def test_cmake_finds_the_library(toolchain: Toolchain, repository: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(calculator C)\n"
        "find_package(interlock_apple REQUIRED)\n"
        f"add_executable(calculator {repository}/examples/apple/calculator.c)\n"
        "target_link_libraries(calculator PRIVATE interlock::apple)\n",
        encoding="utf-8",
    )
    options = [f"-DCMAKE_PREFIX_PATH={toolchain.prefix}", "-DCMAKE_C_COMPILER=gcc"]
    for command in (["-B", "build", *options], ["--build", "build"]):
        subprocess.run(["cmake", *command], cwd=tmp_path, capture_output=True, check=True)

    assert toolchain.run(tmp_path / "build/calculator", "6", "7", "*").stdout == "42\n"


_IN_CTYPES = """
import ctypes
c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
region = c.mmap(None, 16384, 7, 0x0822, -1, 0)
c.pthread_jit_write_protect_np(0)
ctypes.memmove(region, b"x", 1)
c.pthread_jit_write_protect_np(1)
print("written", flush=True)
ctypes.memmove(region, b"x", 1)
"""


def test_preloaded_library_governs_a_compiler_in_python() -> None:
    command = [sys.executable, "-m", "interlock", "mac", "exec", "--preload", "--"]
    run = subprocess.run(
        [*command, sys.executable, "-c", _IN_CTYPES], capture_output=True, text=True, check=False
    )

    assert (run.stdout, run.returncode) == ("written\n", -signal.SIGBUS)
    assert run.stderr.startswith("interlock: T1: SIGBUS at ")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 2),
        (["--", "./no-such-program"], 2),
        (["--switch", "jit-regions=two", "--", "true"], 2),
        (["--macos", "eleven", "--", "true"], 2),
        (["--macos", "10.15", "--", "true"], 1),  # no Apple silicon before 11.0
        (["--entitlements", "no-such-file", "--", "true"], 2),
        (["--macos", "11.2", "--switch", "jit-regions=many", "--wait-ms", "5", "--", "true"], 0),
    ],
)
def test_mac_exec_refuses_what_it_does_not_understand(
    tmp_path: Path, options: list[str], status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "interlock", "mac", "exec", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stderr == "") == (status == 0)


# ---- What the wheel and the command line give ---------------------------------------------------------------------------------


def test_installed_library_and_mac_exec(
    repository: Path, tmp_path: Path, toolchain: Toolchain
) -> None:
    del toolchain  # without gcc nothing of this can be
    printed = subprocess.run(
        [sys.executable, "-m", "interlock.apple", "--cflags", "--libs"],
        capture_output=True,
        text=True,
        check=True,
    )
    program = tmp_path / "calculator"
    source = repository / "examples/apple/calculator.c"
    subprocess.run(["gcc", source, *shlex.split(printed.stdout), "-o", program], check=True)
    (tmp_path / "app.entitlements").write_text(
        '<plist version="1.0"><dict><key>com.apple.security.cs.allow-jit</key><false/></dict></plist>'
    )
    command = [sys.executable, "-m", "interlock", "mac", "exec"]
    hardened = ["--profile", "macos-arm64-hardened", "--entitlements", "app.entitlements"]

    good, refused, unknown = (
        subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        for options in (
            ["--", "./calculator", "6", "7", "*"],
            [*hardened, "--verbose", "--", "./calculator", "1"],
            ["--profile", "mac", "--", "./calculator"],
        )
    )

    assert (good.returncode, good.stdout, good.stderr) == (0, "42\n", "")
    assert refused.returncode == 1
    assert "app.entitlements: K9 allow-jit" in refused.stderr
    assert "interlock: A8: mmap fails: EINVAL" in refused.stderr
    assert (unknown.returncode, unknown.stdout) == (2, "")
