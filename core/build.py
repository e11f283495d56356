"""Builds the core: libinterlock.so, the program interlock-writer and the Python binding.

python core/build.py OUT      with zig's C compiler (the package ziglang), or with the compiler that CC names

Which source belongs to which program is the table `PROGRAMS`; nothing else decides it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORE: Final = Path(__file__).resolve().parent
TARGETS: Final = ("x86_64-linux",)

# The writer's own files; everything else below core/src runs in the application.
_WRITER_ONLY: Final = ("writer_main.c", "writer.c", "arenas.c", "slots.c")
_VALIDATOR: Final = ("src/validate.c", "src/validate_x86_64.c", "src/validate_aarch64.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One file that the build makes.  Sources are patterns below `core/`."""

    name: str
    sources: tuple[str, ...]
    without: tuple[str, ...] = ()
    zig_target: str
    flags: tuple[str, ...]
    # A program without sources is an error, unless it is optional.
    is_optional: bool = False
    needs_library: bool = False


_SHARED: Final = ("-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,now")

PROGRAMS: Final = (
    Program(
        name="libinterlock.so",
        sources=("src/*.c", "src/*.S"),
        without=_WRITER_ONLY,
        # The oldest glibc that manylinux2014 promises.
        zig_target="x86_64-linux-gnu.2.17",
        flags=(*_SHARED, "-pthread", "-Wl,-soname,libinterlock.so", "-Wl,-z,defs"),
    ),
    Program(
        name="interlock-writer",
        sources=(*(f"src/{name}" for name in _WRITER_ONLY), *_VALIDATOR),
        zig_target="x86_64-linux-musl",
        flags=("-fPIE", "-Wl,-z,now"),
    ),
    Program(
        name="_binding.abi3.so",
        sources=("binding/*.c",),
        zig_target="x86_64-linux-gnu.2.17",
        # What it takes from the interpreter is resolved when it is loaded.
        flags=(*_SHARED, "-Wl,-rpath,$ORIGIN", "-Wl,-z,undefs"),
        is_optional=True,
        needs_library=True,
    ),
)

COMMON_FLAGS: Final = (
    "-std=c11",
    "-D_GNU_SOURCE",
    "-O2",
    "-g0",
    "-s",
    "-fno-strict-aliasing",
    "-fstack-protector-strong",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Werror",
    "-Wl,-z,noexecstack",
    "-Wl,-z,relro",
    # Built from relative paths in core/, so that no path of this machine is in the result.
    "-Iinclude",
    "-Isrc",
)


def sources_of(program: Program) -> list[str]:
    """The program's source files, relative to `core/`, in a fixed order."""
    found = {path for pattern in program.sources for path in CORE.glob(pattern)}
    return sorted(str(path.relative_to(CORE)) for path in found if path.name not in program.without)


def build(out_dir: Path, *, target: str = "x86_64-linux", cc: str | None = None) -> list[Path]:
    """Compile every program into `out_dir` and return the files.

    `cc` is a compiler command; without it zig's C compiler of the package ziglang is used, which makes the writer a static
    program and links the libraries against an old glibc.
    """
    if target not in TARGETS:
        message = f"target {target!r} is not one of {', '.join(TARGETS)}"
        raise ValueError(message)
    out_dir = out_dir.resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    # Renamed into place: a process that runs the old file keeps it.
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".build-") as work:
        for program in PROGRAMS:
            sources = sources_of(program)
            if not sources and program.is_optional:
                continue
            if not sources:
                message = f"no source of {program.name} matches {', '.join(program.sources)}"
                raise FileNotFoundError(message)
            _compile(program, sources, Path(work), cc)
        for program in PROGRAMS:
            part = Path(work) / program.name
            if part.exists():
                made.append(part.replace(out_dir / program.name))
    return made


def _compile(program: Program, sources: list[str], work: Path, cc: str | None) -> None:
    libraries = [f"-L{work}", "-linterlock"] if program.needs_library else []
    command = [
        *_compiler(program, cc),
        *COMMON_FLAGS,
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


def _compiler(program: Program, cc: str | None) -> list[str]:
    if cc is not None:
        return [*shlex.split(cc), *(["-pie"] if "-fPIE" in program.flags else [])]
    static = ["-static"] if "musl" in program.zig_target else []
    return [sys.executable, "-m", "ziglang", "cc", "-target", program.zig_target, *static]


def main() -> int:
    """Build into the directory that the command line names."""
    if len(sys.argv) != 2:  # the program's name and OUT
        print(__doc__, file=sys.stderr)
        return 2
    for path in build(Path(sys.argv[1]), cc=os.environ.get("CC")):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
