"""Runs the wheel for AArch64 Linux and its tests under qemu-user, on any Debian, without installing anything.

python tools/test_aarch64.py [--cache DIR] [TEST...]     tests as for pytest; a fixed choice without any

In DIR (~/.cache/interlock-aarch64) it makes a root directory of Debian's Python for arm64, the packages that the tests need,
LLVM among them, and our wheel; then it runs the writer's logic, the tests, and a whole WebAssembly program.  Needs
qemu-aarch64-static (package qemu-user-static), apt-get, dpkg and the packages of `interlock[dev]`.

qemu-user has no seccomp, mseal or MDWE, and no children without SIGCHLD: tests of these are skipped and say so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

if __package__:
    from tools import build_wheels
else:
    import build_wheels

ROOT: Final = Path(__file__).resolve().parents[1]
QEMU: Final = "/usr/bin/qemu-aarch64-static"
DEBIAN: Final = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libexpat1"),
    *("zlib1g", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libgcc-s1", "libstdc++6"),
)
PYTHON: Final = ("llvmlite>=0.50,<0.51", "pytest>=9", "hypothesis>=6.150", "pytest-xdist>=3.8")
PLATFORMS: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
# Under qemu compiling takes many times as long: what is the same on every architecture is left out.
TESTS: Final = (
    "tests/core/test_code_memory.py",
    "tests/runtime/test_region.py",
    "tests/runtime/test_calls.py",
)


def run(command: list[str], *, cwd: Path = ROOT, **variables: str) -> str:
    """Run a command of the host; what it printed.  Its failure ends us."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def make_root(cache: Path) -> Path:
    """A root directory with Debian's Python for arm64; apt works in a state of its own."""
    root = cache / "root"
    if (root / "usr/bin/python3.11").exists():
        return root
    for folder in ("state/lists/partial", "apt/archives/partial", "deb"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    (cache / "state/status").touch()
    options = {
        "Dir::State": cache / "state",
        "Dir::State::status": cache / "state/status",
        "Dir::Cache": cache / "apt",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run([*apt, "update"])
    run([*apt, "download", *DEBIAN], cwd=cache / "deb")
    for package in sorted((cache / "deb").glob("*.deb")):
        run(["dpkg", "-x", str(package), str(cache / "unpacking")])
    (cache / "unpacking").rename(root)
    return root


def script(path: Path, *lines: str) -> None:
    """Write an executable file."""
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    path.chmod(0o755)


def install(root: Path, cache: Path) -> Path:
    """Put packages and our wheel into the root; the command that is its Python."""
    packages = root / "usr/lib/python3/dist-packages"
    if not (packages / "llvmlite").exists():
        platforms = [word for each in PLATFORMS for word in ("--platform", f"{each}_aarch64")]
        selection = ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp"]
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile"]
        run([*pip, "--target", str(packages), *platforms, *selection, *PYTHON])
    shutil.rmtree(packages / "interlock", ignore_errors=True)
    wheel = build_wheels.build_wheel(cache / "wheel", "aarch64-linux")
    zipfile.ZipFile(wheel).extractall(packages)
    # Emulated programs start others by execve, which is the host's: so each is a script that starts qemu.
    writer = packages / "interlock/core/_native/interlock-writer"
    program = writer.rename(f"{writer}.aarch64")
    program.chmod(0o755)
    script(writer, f"#!{QEMU} {program}")
    # A script's name must stay in argv[0], and lie in the root: Python finds itself by it.
    python = root / "usr/bin/python3"
    command = f'exec {QEMU} -L {root} -0 {python} {root}/usr/bin/python3.11 "$@"'
    script(python, "#!/bin/sh", "export INTERLOCK_TEST_QEMU=1", command)
    return python


def test_writer_logic(cache: Path) -> None:
    """core/tests/code_memory_test.c, compiled here."""
    core, program = ROOT / "core", cache / "code_memory_test"
    names = ("writer", "arenas", *(path.stem for path in core.glob("src/validate*.c")))
    sources = [f"src/{name}.c" for name in names if name != "validate_public"]
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static"]
    folders = ["-Iinclude", "-Isrc", "-Isrc/aarch64", "-Isrc/linux"]
    sources += ["src/aarch64/arch.c", "src/cache_linux.c", "tests/code_memory_test.c"]
    run([*compiler, "-std=c11", "-O1", *folders, *sources, "-o", str(program)], cwd=core)
    run([QEMU, str(program)])


def test_program(python: Path, cache: Path) -> None:
    """A C program is compiled to WebAssembly here, and to machine code, published and run there."""
    wasm = cache / "sha256.wasm"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2"]
    run([*compiler, str(ROOT / "examples/sha256.c"), "-o", str(wasm)])
    found = run(
        [str(python), "-m", "interlock", "run", "--dir", ".::/", str(wasm), "LICENSE"],
        cwd=ROOT,
    )
    expected = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    if not found.startswith(expected):
        sys.exit(f"sha256.wasm printed {found!r}, not {expected}")


def test_apple_library(root: Path, cache: Path) -> None:
    """Programs of the tests of libinterlock_apple, compiled here against the wheel's library, run there."""
    prefix = root / "usr/lib/python3/dist-packages/interlock/apple/_native"
    target = build_wheels.load_core_build().TARGETS["aarch64-linux"].zig_library
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=gnu11", "-pthread"]
    emulator = [QEMU, "-L", str(root), "-E", f"LD_LIBRARY_PATH={prefix}/lib"]
    programs = ROOT / "tests/apple/programs"
    for source, arguments, expected in (
        (ROOT / "examples/apple/calculator.c", ["6", "7", "*"], "42\n"),
        (programs / "threads.c", ["run"], "wrong: 0\n"),
        (programs / "signals.c", [], None),
        (programs / "memory.c", [str(cache / "apple-file")], None),
    ):
        program = cache / source.stem
        paths = [f"-I{prefix}/include", f"-L{prefix}/lib"]
        run([*compiler, str(source), *paths, "-linterlock_apple", "-o", str(program)])
        # The two without an expected text check themselves: their failure ends us.
        printed = run([*emulator, str(program), *arguments])
        if expected not in {None, printed}:
            sys.exit(f"{source.stem} printed {printed!r}, not {expected!r}")


def main() -> int:
    """Set up and run; the exit status is pytest's."""
    arguments = sys.argv[1:]
    cache = Path.home() / ".cache/interlock-aarch64"
    if arguments[:1] == ["--cache"] and len(arguments) > 1:
        cache, arguments = Path(arguments[1]), arguments[2:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if not Path(QEMU).exists():
        sys.exit(f"needs {QEMU}: apt-get install qemu-user-static")
    cache = cache.resolve()
    python = install(make_root(cache), cache)
    test_writer_logic(cache)
    print("the writer's logic: passed")
    test_program(python, cache)
    print("sha256.wasm: passed")
    test_apple_library(cache / "root", cache)
    print("libinterlock_apple: passed")
    level = "from interlock import core; core.open_region(); info = core.describe_region(); "
    level += "print('level under qemu: seals', info.has_seals, 'mseal', info.has_mseal)"
    print(run([str(python), "-c", level], cwd=cache).strip())
    pytest = [str(python), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    return subprocess.run([*pytest, *(arguments or TESTS)], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
