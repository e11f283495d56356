"""Which branches of the core run: its macOS path on the modelled Mac, and its Linux path natively.  Reports both, by file.

python tools/measure_core_coverage.py

Both libraries are compiled by the same compiler with a flag for each edge of the control flow, and driven by tests: the macOS one by
tests/core/test_modelled_*.py and programs under `mac run`, the Linux one by the tests of code memory and of the runtime.
The last line counts what runs in the application on both systems: on Linux writer and code validator are another program.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lief
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.build_wheels import load_core_build  # noqa: E402 - the repository is on the path now

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

SECTION = "__sancov_bools"
# Without optimisation, or inlined copies of a function count as branches of their own.
INSTRUMENTED = (
    "-fsanitize-coverage=inline-bool-flag",
    "-O0",
    "-fno-sanitize=undefined",
    "-Qunused-arguments",
)
INIT = "__sanitizer_cov_bool_flag_init"
DUMP = (
    "#include <fcntl.h>\\n#include <stdio.h>\\n#include <stdlib.h>\\n#include <unistd.h>\\n"
    "static const char *first, *last;\\n"
    f"void {INIT}(const char *start, const char *stop);\\n"
    f'__attribute__((visibility("default"))) void {INIT}(const char *start, const char *stop) {{ first = start, last = stop; }}\\n'
    "__attribute__((destructor)) static void dump(void) {\\n"
    "    char path[4096];\\n"
    '    const char *directory = getenv("IL_COVERAGE");\\n'
    "    if (directory == NULL) return;\\n"
    '    (void)snprintf(path, sizeof path, "%s/%d", directory, (int)getpid());\\n'
    "    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);\\n"
    "    if (file >= 0 && write(file, first, (size_t)(last - first)) < 0) _exit(1);\\n"
    "}\\n"
).replace("\\n", "\n")
NO_DUMP = f"void {INIT}(const char *start, const char *stop);\nvoid {INIT}(const char *start, const char *stop) {{ (void)start, (void)stop; }}\n"
LINUX_TESTS = (
    *("tests/core/test_code_memory.py", "tests/core/test_forks.py"),
    *("tests/runtime/test_region.py", "tests/runtime/test_calls.py"),
    *("tests/runtime/test_instances.py", "tests/runtime/test_interrupts.py"),
    *("tests/runtime/test_forks.py", "tests/runtime/test_instance_interrupt.py"),
)

Flags = dict[str, bytes]  # by source file, one byte for each edge


def compile_library(
    build: ModuleType, target_name: str, work: Path, extra: Sequence[Path] = ()
) -> tuple[Path, list[tuple[str, int]]]:
    """The library of a target with a flag for each edge; how many flags each source has, in their order."""
    target = build.TARGETS[target_name]
    program = target.programs[0]
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-target", target.zig_library),
        *(*build.COMMON_FLAGS, *target.flags, f"-Isrc/{target.arch}", f"-Isrc/{target.system}"),
    ]
    objects, sizes = [], []
    for source in (*build.sources_of(program, target), *map(str, extra)):
        is_ours = source.startswith("src/") and source.endswith(".c")
        made = work / (source.replace("/", "_") + ".o")
        flags = [*INSTRUMENTED] if is_ours else ["-Qunused-arguments"]
        run([*command, "-fPIC", "-fvisibility=hidden", *flags, "-c", source, "-o", str(made)])
        objects.append(str(made))
        if is_ours:
            sizes.append((source.removeprefix("src/"), section_bytes(made)))
    library = work / program.name
    keep = (
        ["-Wl,--no-gc-sections"] if target.system == "linux" else []
    )  # or flags of what nobody calls are gone
    run([*command, *program.flags, *keep, *objects, "-o", str(library)])
    return library, sizes


def run(command: list[str]) -> None:
    """A command of the compiler, in core/."""
    subprocess.run(command, cwd=ROOT / "core", check=True)


def section_bytes(path: Path) -> int:
    """The size of the flags of an object file."""
    parsed: Any = lief.parse(str(path))
    return sum(each.size for each in parsed.sections if each.name == SECTION)


def cut(flags: bytes, sizes: Iterable[tuple[str, int]]) -> Flags:
    """All flags as those of each file."""
    found, at = {}, 0
    for source, size in sizes:
        found[source] = flags[at : at + size]
        at += size
    if at != len(flags):
        message = f"{len(flags)} flags in the library, {at} in its objects"
        raise ValueError(message)
    return found


def merged(runs: Iterable[bytes]) -> bytes:
    """Edges that ran in any of the runs."""
    return bytes(max(column) for column in zip(*runs, strict=True))


def measure_macos(build: ModuleType, work: Path) -> Flags:
    """The macOS path on the modelled Mac."""
    from interlock.mac import Program, loader, program

    init = work / "init.c"
    init.write_text(NO_DUMP, encoding="utf-8")
    library, sizes = compile_library(build, "aarch64-macos", work, [init])
    data = library.read_bytes()
    (section,) = (each for each in loader.parse(data).sections if each.name == SECTION)
    programs: list[Program] = []
    original = Program.__init__

    def instrumented(self: Program, profile: Any, _library: bytes, **options: Any) -> None:
        programs.append(self)
        original(self, profile, data, **options)

    program.Program.__init__ = instrumented  # type: ignore[method-assign]
    pytest.main(
        [
            "-q",
            "-p",
            "no:randomly",
            *(
                str(ROOT / f"tests/core/test_modelled_{each}.py")
                for each in ("mac", "calls", "traps")
            ),
        ]
    )
    run_examples()
    return cut(
        merged(
            each.read(each.library.base + section.address, section.size_bytes)
            for each in programs
            if hasattr(each, "library")
        ),
        sizes,
    )


def run_examples() -> None:
    """`mac run` of the examples, in this process."""
    import interlock
    from interlock.contract import profile
    from interlock.runtime import modelled, pipeline

    hello = (ROOT / "examples/hello.wat").read_text(encoding="utf-8")
    everything = (ROOT / "tests/core/modelled.wat").read_text(encoding="utf-8")
    for text in (hello, everything):
        modelled.run_on_mac(
            pipeline.read_wat(text),
            profile("macos-arm64-allowlist"),
            wasi=interlock.Wasi(stdout=io.BytesIO()),
        )


def measure_linux(build: ModuleType, work: Path) -> Flags:
    """The Linux path natively: a copy of the package with the instrumented library, under the tests."""
    dump = work / "dump.c"
    dump.write_text(DUMP, encoding="utf-8")
    library, sizes = compile_library(build, build.native_target(), work, [dump])
    package, results = work / "src/interlock", work / "results"
    shutil.copytree(ROOT / "src/interlock", package)
    shutil.copyfile(library, package / "core/_native/libinterlock.so")
    results.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *LINUX_TESTS],
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(work / "src"), "IL_COVERAGE": str(results)},
    )
    return cut(merged(each.read_bytes() for each in results.iterdir()), sizes)


def report(macos: Flags, linux: Flags) -> None:
    """A table: edges that ran, of all, by file."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    print(f"{'file':<32} {'macOS, modelled':>18} {'Linux, native':>18}")
    for source in sorted({*macos, *linux}):
        row = f"{source:<32}"
        for name, flags in (("macos", macos.get(source)), ("linux", linux.get(source))):
            row += f" {describe(flags):>18}"
            if flags is not None and is_counted(source, macos, linux):
                totals[name][0] += sum(flags)
                totals[name][1] += len(flags)
        print(row)
    print(f"{'in the application, of both':<32}", end="")
    for name in ("macos", "linux"):
        ran, count = totals[name]
        print(f" {f'{ran}/{count} {100 * ran / count:.1f} %':>18}", end="")
    print()


def is_counted(source: str, macos: Flags, linux: Flags) -> bool:
    """In both libraries and no part of the validator, or a system's counterpart of the other's."""
    is_shared = source in macos and source in linux and not source.startswith("validate")
    return is_shared or source.startswith(("region_", "signals_"))


def describe(flags: bytes | None) -> str:
    """`27/28  96.4 %`."""
    if flags is None:
        return "-"
    if not flags:
        return "0/0"
    return f"{sum(flags)}/{len(flags)} {100 * sum(flags) / len(flags):.1f} %"


def main() -> None:
    """Measure both."""
    build = load_core_build()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        report(measure_macos(build, Path(first)), measure_linux(build, Path(second)))


if __name__ == "__main__":
    main()
