"""Builds the scenario driver and the images of scenarios, with zig's C compiler or with another."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apple.probe import cases, images, signing
from interlock.contract import Chip, parse_scenarios
from tools.build_wheels import load_core_build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from interlock.contract import Profile, Scenario
    from interlock.contract.scenario import ImageText

PROBE: Final = Path(__file__).resolve().parent
# The freeze call is there since 12.1.
_MACOS_MINIMUM: Final = "12.1"
_JOBS: Final = 2
_ROOT: Final = PROBE.parents[1]
_DRIVER: Final = (
    "driver",
    "channel",
    "places",
    "memory_steps",
    "thread_steps",
    "faults",
    "signals",
)
_RUNNER: Final = ("runner", "play", "judge", "report", "channel", "signals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A compiler for a system, and how that system's programs and libraries are made."""

    compiler: tuple[str, ...]
    arch: str
    system: str
    format: images.ObjectFormat
    flags: tuple[str, ...]
    library_flags: tuple[str, ...]
    library_name: str  # with {name}
    program_flags: tuple[str, ...]
    # For an image with a weak symbol that is missing: NULL at run time, no error of the linker.
    weak_flags: tuple[str, ...] = ()

    def has_profile(self, profile: Profile) -> bool:
        """Whether a process of this system can be one of the profile's; on Linux the library makes any."""
        is_arm = profile.chip is Chip.APPLE_SILICON
        return self.system == "linux" or is_arm == (self.arch == "aarch64")


def macos(arch: str) -> Toolchain:
    """macOS, for `aarch64` or `x86_64`, by zig from any machine."""
    target = f"{arch}-macos.{_MACOS_MINIMUM}"
    return Toolchain(
        compiler=(sys.executable, "-m", "ziglang", "cc", "-target", target),
        arch=arch,
        system="macos",
        format=images.MACHO,
        flags=("-D_DARWIN_C_SOURCE", "-fno-sanitize=all"),
        library_flags=("-shared",),
        library_name="-Wl,-install_name,@rpath/{name}",
        program_flags=("-Wl,-rpath,@executable_path",),
        weak_flags=("-Wl,-undefined,dynamic_lookup",),
    )


def linux(folder: Path, cc: str | None = None) -> Toolchain:
    """This Linux, with libinterlock_apple of the sources as they are, built into `folder`, by a compiler's command, or zig's."""
    load_core_build().build_apple(folder, cc=cc)
    return Toolchain(
        compiler=tuple(shlex.split(cc)) if cc else (sys.executable, "-m", "ziglang", "cc"),
        arch=platform.machine(),
        system="linux",
        format=images.ELF,
        flags=("-D_GNU_SOURCE", "-pthread", "-fPIC", f"-I{folder}/include"),
        library_flags=("-shared",),
        library_name="-Wl,-soname,{name}",
        program_flags=(
            *("-ldl", "-Wl,-rpath,$ORIGIN", "-Wl,--no-as-needed"),
            *(f"-L{folder}/lib", f"-Wl,-rpath,{folder}/lib", "-linterlock_apple"),
            *(() if cc else ("-lunwind",)),  # gcc and clang link an unwinder unasked
        ),
    )


COMMON_FLAGS: Final = (
    *("-std=c11", "-O2", "-g0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"),
    "-fvisibility=hidden",
)


class Builder:
    """Makes files in a folder, each once."""

    def __init__(self, folder: Path, toolchain: Toolchain) -> None:
        self.folder = folder
        self._toolchain = toolchain
        self._objects = folder / "objects"
        self._objects.mkdir(parents=True, exist_ok=True)

    def executable(self, *of: ImageText) -> Path:
        """The driver with these images: the first is its own, it links the others."""
        path = self.folder / f"driver-{images.key(*of)}"
        if not path.exists():
            libraries = [str(self.library(each)) for each in of[1:]]
            texts = images.executable_sources(of, self._toolchain.format)
            sources = [*self._driver_objects(), *self._written(path.name, texts), *libraries]
            flags = (*self._toolchain.program_flags, *self._weak_flags(*of))
            self._run(sources, path, flags)
            if of and self._toolchain.format.rounds_sizes:
                path.write_bytes(images.with_section_sizes(path.read_bytes(), of[0]))
        return path

    def library(self, image: ImageText) -> Path:
        """A library that is this image."""
        path = self.folder / images.library_name(image)
        if not path.exists():
            texts = images.sources(image, self._toolchain.format)
            name = self._toolchain.library_name.format(name=path.name)
            flags = ("-fPIC", *self._toolchain.library_flags, name, *self._weak_flags(image))
            self._run(self._written(path.name, texts), path, flags)
        return path

    def probe(self, cases_text: str) -> Path:
        """The program that plays these cases."""
        path = self.folder / "interlock-probe"
        written = self._written(path.name, [cases_text])
        names = [*_RUNNER, f"machine_{self._toolchain.system}"]
        sources = [*(str(PROBE / f"{name}.c") for name in names), *written]
        self._run(sources, path, self._toolchain.program_flags)
        return path

    def all(
        self, executables: Iterable[Sequence[ImageText]], libraries: Iterable[ImageText]
    ) -> None:
        """These files, several at a time."""
        self._driver_objects()
        wanted = {images.key(*each): each for each in executables}
        alone = {
            images.key(each): each
            for each in [*libraries, *(one for each in wanted.values() for one in each[1:])]
        }
        with ThreadPoolExecutor(_JOBS) as pool:
            list(pool.map(self.library, alone.values()))
            list(pool.map(lambda each: self.executable(*each), wanted.values()))

    def _weak_flags(self, *of: ImageText) -> tuple[str, ...]:
        has_weak = any(word.startswith("weak:") for each in of for word in each.words)
        return self._toolchain.weak_flags if has_weak else ()

    def _driver_objects(self) -> list[str]:
        toolchain = self._toolchain
        names = [*_DRIVER, f"cells_{toolchain.arch}", f"system_{toolchain.system}"]
        made = []
        for name in names:
            path = self._objects / f"{name}.o"
            if not path.exists():
                self._run([str(PROBE / f"{name}.c")], path, ("-c",))
            made.append(str(path))
        return made

    def _written(self, name: str, texts: Iterable[str]) -> list[str]:
        paths = []
        for number, text in enumerate(texts):
            path = self._objects / f"{name}-{number}.c"
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        return paths

    def _run(self, sources: Sequence[str], path: Path, flags: Iterable[str]) -> None:
        part = path.with_name(f".{path.name}.part")
        command = [
            *self._toolchain.compiler,
            *COMMON_FLAGS,
            *self._toolchain.flags,
            f"-I{PROBE}",
            *flags,
            *sources,
            *("-o", str(part)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"{path.name} does not compile:\n{shlex.join(command)}\n{done.stderr}"
            raise RuntimeError(message)
        part.replace(path)


def scenarios() -> list[Scenario]:
    """Every scenario of tests/scenarios."""
    files = sorted((_ROOT / "tests/scenarios").glob("*.scenarios"))
    return [
        each
        for file in files
        for each in parse_scenarios(file.read_text(encoding="utf-8"), file=file.name)
    ]


def build(folder: Path, toolchain: Toolchain) -> Path:
    """The probe for a system: the program `interlock-probe`, its drivers and their images, and what signs them on a Mac."""
    builder = Builder(folder, toolchain)
    made: list[cases.Case] = []
    programs: list[signing.SignedProgram] = []
    played = [each for each in scenarios() if not cases.refusal(each)]
    libraries = [image for scenario in played for image in signing.libraries(scenario)]
    builder.all([each.images for each in played], libraries)
    pairs = [(scenario, each) for scenario in scenarios() for each in scenario.profiles()]
    for scenario, profile in pairs:
        if not toolchain.has_profile(profile):
            continue
        refusal = cases.refusal(scenario)
        signed = signing.signed_program(scenario, profile)
        program = f"signed/{signed.name}" if toolchain.system == "macos" else signed.driver
        made.append(
            cases.Case(scenario=scenario, profile=profile, program=program, refusal=refusal)
        )
        if not refusal:
            programs.append(signed)
    commands = signing.write(folder, programs, libraries) if toolchain.system == "macos" else []
    return builder.probe(cases.source(made, sign_commands=commands))
