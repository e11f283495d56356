"""Builds the core: libinterlock, the program interlock-writer (not on macOS) and the Python binding, for any target on any machine.

`build_launchers` builds the host program for macOS that links it.

python core/build.py OUT [TARGET]     with zig's C compiler (the package ziglang), or with the compiler that CC names

TARGET is one of the table `TARGETS`; without it, this machine.  Which source belongs to which program is that table too; nothing
else decides it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORE: Final = Path(__file__).resolve().parent
MACOS_MINIMUM: Final = "12.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One file that the build makes.  Sources are patterns below `core/`; `{arch}` is the target's folder."""

    name: str
    sources: tuple[str, ...]
    without: tuple[str, ...] = ()
    flags: tuple[str, ...]
    is_static: bool = False
    # A program without sources is an error, unless it is optional.
    is_optional: bool = False
    needs_library: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine: its folder below `core/src`, its system's folder and suffix there, and what zig calls it."""

    arch: str
    system: str
    zig_library: str
    zig_program: str
    wheel_platform: str
    flags: tuple[str, ...]
    programs: tuple[Program, ...]

    def owns(self, source: Path) -> bool:
        """Whether it compiles a file of `core/src`: no other system's, by the file's name."""
        return not source.stem.endswith(tuple(f"_{each}" for each in _SYSTEMS - {self.system}))


_SYSTEMS: Final = {"linux", "macos"}
_LIBRARY_SOURCES: Final = ("src/*.c", "src/{arch}/*.c", "src/{arch}/*.S")
_SHARED: Final = ("-shared", "-fPIC", "-fvisibility=hidden")

# ---- Linux: the writer is a program; everything else below core/src runs in the application ----------------------------------

_WRITER_ONLY: Final = ("writer_main.c", "writer.c", "arenas.c")
_VALIDATOR: Final = ("src/validate.c", "src/validate_x86_64.c", "src/validate_aarch64.c")
_MACHINE: Final = ("src/cache_linux.c", "src/{arch}/*.c")

_LINUX_PROGRAMS: Final = (
    Program(
        name="libinterlock.so",
        sources=_LIBRARY_SOURCES,
        without=_WRITER_ONLY,
        flags=(*_SHARED, "-pthread", "-Wl,-soname,libinterlock.so", "-Wl,-z,defs"),
    ),
    Program(
        name="interlock-writer",
        sources=(*(f"src/{name}" for name in _WRITER_ONLY), *_VALIDATOR, *_MACHINE),
        flags=("-fPIE",),
        is_static=True,
    ),
    Program(
        name="_binding.abi3.so",
        sources=("binding/*.c",),
        # What it takes from the interpreter is resolved when it is loaded.
        flags=(*_SHARED, "-Wl,-rpath,$ORIGIN", "-Wl,-z,undefs"),
        is_optional=True,
        needs_library=True,
    ),
)

# ---- macOS: the writer is a function of the library --------------------------------------------------------------------------

_MACOS_PROGRAMS: Final = (
    Program(
        name="libinterlock.dylib",
        sources=_LIBRARY_SOURCES,
        without=("writer_main.c",),
        flags=(*_SHARED, "-Wl,-install_name,@rpath/libinterlock.dylib"),
    ),
    Program(
        name="_binding.abi3.so",
        sources=("binding/*.c", "src/memory_functions_macos.c"),
        flags=(
            *(*_SHARED, "-Wl,-install_name,@rpath/_binding.abi3.so"),
            *("-Wl,-rpath,@loader_path", "-Wl,-undefined,dynamic_lookup"),
        ),
        is_optional=True,
        needs_library=True,
    ),
)
# The host program (apple/launcher), for every machine's wheel: `interlock mac kit` writes it anywhere.
PYTHON_VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
LAUNCHERS: Final = {
    target: Program(
        name=f"interlock-launcher-{in_wheels}",
        sources=("../apple/launcher/launcher.c",),
        flags=(
            "../apple/launcher/libinterlock.tbd",
            # The library of the package that Python will import: one file, so one list.  Relative to <prefix>/bin.
            *(
                f"-Wl,-rpath,@executable_path/../lib/python{version}/site-packages/interlock/core/_native"
                for version in PYTHON_VERSIONS
            ),
            # As much as CPython links its own program with: its recursion limits count on it.
            "-Wl,-stack_size,0x1000000",
        ),
    )
    for target, in_wheels in (("aarch64-macos", "arm64"), ("x86_64-macos", "x86_64"))
}
# ---- Linux: Apple's calls for C programs (apple/), laid out as pkg-config and CMake look for them --------------------------------

APPLE_LIBRARY: Final = Program(
    name="libinterlock_apple.so",
    sources=("../apple/src/*.c", "../apple/src/{arch}/*.c"),
    flags=(
        *(*_SHARED, "-pthread", "-Wl,-soname,libinterlock_apple.so", "-Wl,-z,defs"),
        "-fexceptions",  # a callback's exception passes through the call
        "-U_FORTIFY_SOURCE",  # it defines read() itself
        "-I../apple/include",
    ),
)
APPLE_FILES: Final = (
    "include/interlock/pthread_jit.h",
    "lib/pkgconfig/interlock_apple.pc",
    "lib/cmake/interlock_apple/interlock_apple-config.cmake",
)
# Functions of the system are called through __DATA_CONST, which is read-only from the start, as with -z now and -z relro.
_MACOS_FLAGS: Final = ("-D_DARWIN_C_SOURCE", "-D_FORTIFY_SOURCE=0", "-Xclang", "-fno-plt")

TARGETS: Final = {
    f"{arch}-linux": Target(
        arch=arch,
        system="linux",
        # The oldest glibc that manylinux2014 promises; the writer is a static program.
        zig_library=f"{arch}-linux-gnu.2.17",
        zig_program=f"{arch}-linux-musl",
        wheel_platform=f"manylinux_2_17_{arch}",
        flags=("-D_GNU_SOURCE", "-fno-plt", "-Wl,-z,noexecstack", "-Wl,-z,relro", "-Wl,-z,now"),
        programs=_LINUX_PROGRAMS,
    )
    for arch in ("x86_64", "aarch64")
} | {
    f"{arch}-macos": Target(
        arch=arch,
        system="macos",
        # The callback API is there since 11.4; a wheel's tag can only say 11 or 12.
        zig_library=f"{arch}-macos.{MACOS_MINIMUM}",
        zig_program=f"{arch}-macos.{MACOS_MINIMUM}",
        wheel_platform=f"macosx_{MACOS_MINIMUM.replace('.', '_')}_{in_wheels}",
        flags=(*_MACOS_FLAGS, *of_arch),
        programs=_MACOS_PROGRAMS,
    )
    for arch, in_wheels, of_arch in (
        ("x86_64", "x86_64", ()),
        ("aarch64", "arm64", ("-mllvm", "-aarch64-macho-enable-nonlazybind")),
    )
}

COMMON_FLAGS: Final = (
    "-std=c11",
    "-O2",
    "-g0",
    "-s",
    "-fno-strict-aliasing",
    # What costs a call time: comparing its pointers with NULL in vector registers; and jumps through the linkage table (-fno-plt
    # of each system).
    "-fno-tree-slp-vectorize",
    "-fstack-protector-strong",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Werror",
    # Built from relative paths in core/, so that no path of this machine is in the result.
    "-Iinclude",
    "-Isrc",
)


def native_target() -> str | None:
    """The target of the machine that this runs on; None where there is none."""
    arch = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    system = {"linux": "linux", "darwin": "macos"}
    name = f"{arch.get(platform.machine())}-{system.get(sys.platform)}"
    return name if name in TARGETS else None


def sources_of(program: Program, target: Target) -> list[str]:
    """The program's source files, relative to `core/`, in a fixed order."""
    patterns = (pattern.format(arch=target.arch) for pattern in program.sources)
    found = {path for pattern in patterns for path in CORE.glob(pattern) if target.owns(path)}
    return sorted(str(path.relative_to(CORE)) for path in found if path.name not in program.without)


def build(out_dir: Path, *, target: str | None = None, cc: str | None = None) -> list[Path]:
    """Compile every program of a target (this machine's) into `out_dir` and return the files.

    `cc` is a compiler command for the target; without it zig's C compiler of the package ziglang is used, which makes the
    writer a static program and links the libraries against an old glibc.
    """
    name = target or native_target()
    machine = TARGETS.get(name or "")
    if machine is None:
        asked = target or f"{platform.machine()} {sys.platform}"
        message = f"there is no core for {asked}: the targets are {', '.join(TARGETS)}"
        raise ValueError(message)
    return _make(machine.programs, machine, out_dir, cc)


def build_modelled(out_dir: Path) -> list[Path]:
    """Compile the library for Apple silicon into `out_dir` with zig, on any machine: the modelled Mac (interlock.mac) runs it."""
    return _make(_MACOS_PROGRAMS[:1], TARGETS["aarch64-macos"], out_dir, None)


def build_launchers(out_dir: Path) -> list[Path]:
    """Compile the launcher for each macOS target into `out_dir` with zig, on any machine, and return the files."""
    return [
        path
        for target, launcher in LAUNCHERS.items()
        for path in _make((launcher,), TARGETS[target], out_dir, None)
    ]


def build_apple(out_dir: Path, *, target: str | None = None, cc: str | None = None) -> list[Path]:
    """Build the library of Apple's calls, with its header and what finds it; nothing for macOS, which has the calls itself."""
    machine = TARGETS[target or native_target() or ""]
    if machine.system != "linux":
        return []
    made = _make((APPLE_LIBRARY,), machine, out_dir / "lib", cc)
    for name in APPLE_FILES:
        copy = out_dir / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        made.append(Path(shutil.copyfile(CORE.parent / "apple" / name, copy)))
    return made


def _make(
    programs: tuple[Program, ...], target: Target, out_dir: Path, cc: str | None
) -> list[Path]:
    out_dir = out_dir.resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    # Renamed into place: a process that runs the old file keeps it.
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".build-") as work:
        for program in programs:
            sources = sources_of(program, target)
            if not sources and program.is_optional:
                continue
            if not sources:
                message = f"no source of {program.name} matches {', '.join(program.sources)}"
                raise FileNotFoundError(message)
            _compile(program, target, sources, Path(work), cc)
        for program in programs:
            part = Path(work) / program.name
            if part.exists():
                made.append(part.replace(out_dir / program.name))
    return made


def _compile(
    program: Program, target: Target, sources: list[str], work: Path, cc: str | None
) -> None:
    libraries = [f"-L{work}", "-linterlock"] if program.needs_library else []
    command = [
        *_compiler(program, target, cc),
        *COMMON_FLAGS,
        *target.flags,
        f"-Isrc/{target.arch}",
        f"-Isrc/{target.system}",
        *program.flags,
        *sources,
        *libraries,
        "-o",
        str(work / program.name),
    ]
    done = subprocess.run(command, cwd=CORE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{program.name} does not compile:\n{shlex.join(command)}\n{done.stderr}"
        raise RuntimeError(message)


def _compiler(program: Program, target: Target, cc: str | None) -> list[str]:
    if cc is not None:
        return [*shlex.split(cc), *(["-pie"] if "-fPIE" in program.flags else [])]
    name = target.zig_program if program.is_static else target.zig_library
    static = ["-static"] if program.is_static else []
    return [sys.executable, "-m", "ziglang", "cc", "-target", name, *static]


def main() -> int:
    """Build into the directory that the command line names."""
    if len(sys.argv) not in {2, 3} or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    out_dir, target = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else None
    try:
        made = build(out_dir, target=target, cc=os.environ.get("CC"))
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    for path in made:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
