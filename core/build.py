"""Builds the core: libinterlock.so, the program interlock-writer and the Python binding.

python core/build.py OUT [TARGET]     with zig's C compiler (the package ziglang), or with the compiler that CC names

Which source belongs to which program is the table `PROGRAMS`, what a machine has of its own the table `TARGETS`; nothing else
decides it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine: its folder below `core/src`, the suffix of its system's files, and what zig calls it."""

    arch: str
    system: str
    zig_library: str
    zig_program: str

    def owns(self, source: Path) -> bool:
        """Whether it compiles a file of `core/src`: no other system's, by the file's name."""
        return not source.stem.endswith(tuple(f"_{each}" for each in _SYSTEMS - {self.system}))


_SYSTEMS: Final = {"linux"}
# The oldest glibc that manylinux2014 promises; the writer is a static program.
TARGETS: Final = {
    f"{arch}-linux": Target(
        arch=arch,
        system="linux",
        zig_library=f"{arch}-linux-gnu.2.17",
        zig_program=f"{arch}-linux-musl",
    )
    for arch in ("x86_64", "aarch64")
}

# The writer's own files; everything else below core/src runs in the application.
_WRITER_ONLY: Final = ("writer_main.c", "writer.c", "arenas.c", "slots.c")
_VALIDATOR: Final = ("src/validate.c", "src/validate_x86_64.c", "src/validate_aarch64.c")


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


_SHARED: Final = ("-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,now")

PROGRAMS: Final = (
    Program(
        name="libinterlock.so",
        sources=("src/*.c", "src/{arch}/*.c", "src/{arch}/*.S"),
        without=_WRITER_ONLY,
        flags=(*_SHARED, "-pthread", "-Wl,-soname,libinterlock.so", "-Wl,-z,defs"),
    ),
    Program(
        name="interlock-writer",
        sources=(*(f"src/{name}" for name in _WRITER_ONLY), *_VALIDATOR, "src/{arch}/*.c"),
        flags=("-fPIE", "-Wl,-z,now"),
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


def sources_of(program: Program, target: Target) -> list[str]:
    """The program's source files, relative to `core/`, in a fixed order."""
    patterns = (pattern.format(arch=target.arch) for pattern in program.sources)
    found = {path for pattern in patterns for path in CORE.glob(pattern) if target.owns(path)}
    return sorted(str(path.relative_to(CORE)) for path in found if path.name not in program.without)


def build(out_dir: Path, *, target: str = "x86_64-linux", cc: str | None = None) -> list[Path]:
    """Compile every program into `out_dir` and return the files.

    `cc` is a compiler command for the target; without it zig's C compiler of the package ziglang is used, which makes the
    writer a static program and links the libraries against an old glibc.
    """
    machine = TARGETS.get(target)
    if machine is None:
        message = f"target {target!r} is not one of {', '.join(TARGETS)}"
        raise ValueError(message)
    out_dir = out_dir.resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    # Renamed into place: a process that runs the old file keeps it.
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".build-") as work:
        for program in PROGRAMS:
            sources = sources_of(program, machine)
            if not sources and program.is_optional:
                continue
            if not sources:
                message = f"no source of {program.name} matches {', '.join(program.sources)}"
                raise FileNotFoundError(message)
            _compile(program, machine, sources, Path(work), cc)
        for program in PROGRAMS:
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
        f"-Isrc/{target.arch}",
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
    _, out_dir, target = (
        [*sys.argv, "x86_64-linux"][:3] if len(sys.argv) in {2, 3} else ("", "", "")
    )
    if target not in TARGETS:
        print(__doc__, file=sys.stderr)
        return 2
    for path in build(Path(out_dir), target=target, cc=os.environ.get("CC")):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
