"""Fuzzes the core: both code validators, and the writer with streams of requests.

python tools/fuzz_core.py [--seconds N] [--keep] [TARGET...]

Builds each target with libFuzzer and the address and undefined-behaviour sanitizers (needs clang), runs it for N seconds (10
without it) from its corpus below `core/fuzz/corpus`, and says how many inputs it ran.  `--keep` adds what was found to the corpus,
minimised.  What breaks a target is written to the current directory, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CORE: Final = ROOT / "core"
CORPUS: Final = CORE / "fuzz/corpus"
INPUT_BYTES_MAX: Final = 4096
KEPT_BYTES_MAX: Final = 512
_VALIDATOR: Final = ("src/validate.c", "src/validate_x86_64.c", "src/validate_aarch64.c")
_WRITER: Final = ("src/writer.c", "src/arenas.c")
_HOST: Final = ("src/x86_64/arch.c", "src/cache_linux.c")
# Sources and definitions of each target.
TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "validate_x86_64": ("fuzz/fuzz_validate.c", *_VALIDATOR, "-DIL_FUZZ_ARCH=IL_ARCH_X86_64"),
    "validate_aarch64": ("fuzz/fuzz_validate.c", *_VALIDATOR, "-DIL_FUZZ_ARCH=IL_ARCH_AARCH64"),
    "writer": ("fuzz/fuzz_writer.c", *_VALIDATOR, *_WRITER, *_HOST),
}
_FLAGS: Final = (
    *("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Iinclude", "-Isrc", "-Isrc/x86_64"),
    *("-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"),
)


def find_clang() -> str | None:
    """Clang with libFuzzer, by the names that systems give it."""
    return next((found for name in ("clang-19", "clang") if (found := shutil.which(name))), None)


def build(
    target: str,
    out_dir: Path,
    *,
    compiler: str,
    is_libfuzzer: bool,
    sanitizers: str = "address,undefined",
) -> Path:
    """Compile a target: with libFuzzer, or with a main of our own for any compiler."""
    program = out_dir / f"fuzz_{target}"
    main = () if is_libfuzzer else ("fuzz/standalone.c",)
    if is_libfuzzer:
        sanitizers = f"fuzzer,{sanitizers}"
    sources = (*TARGETS[target], *main)
    command = [compiler, *_FLAGS, f"-fsanitize={sanitizers}", *sources, "-o", str(program)]
    subprocess.run(command, cwd=CORE, check=True)
    return program


def corpus_of(target: str) -> list[Path]:
    """The committed inputs of a target."""
    return sorted((CORPUS / target).iterdir())


def fuzz(target: str, program: Path, *, seconds: int, is_kept: bool) -> bool:
    """Run one target; whether nothing broke."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found"
        shutil.copytree(CORPUS / target, found)
        limits = [f"-max_len={INPUT_BYTES_MAX}", "-rss_limit_mb=4096", "-timeout=60"]
        goal = ["-use_value_profile=1", f"-max_total_time={seconds}", "-print_final_stats=1"]
        done = subprocess.run(
            [program, str(found), *limits, *goal], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(done.stderr[-8000:])
            return False
        runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        covered = re.findall(r"cov: (\d+)", done.stderr)
        print(
            f"{target}: {runs[1] if runs else '?'} inputs in {seconds} s, "
            f"{covered[-1] if covered else '?'} edges, {len(list(found.iterdir()))} inputs kept",
            flush=True,
        )
        if is_kept:
            merged = Path(folder) / "merged"
            merged.mkdir()
            subprocess.run(
                [
                    program,
                    "-set_cover_merge=1",
                    f"-max_len={KEPT_BYTES_MAX}",
                    str(merged),
                    str(found),
                ],
                capture_output=True,
                check=True,
            )
            shutil.rmtree(CORPUS / target)
            shutil.copytree(merged, CORPUS / target)
    return True


def main() -> int:
    """Build and run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("targets", metavar="TARGET", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--keep", action="store_true", help="write the minimised corpus back")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"unknown target: {', '.join(sorted(unknown))}")
    clang = find_clang()
    if clang is None:
        parser.error("needs clang with libFuzzer (Debian: clang-19 libclang-rt-19-dev)")
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for target in args.targets or TARGETS:
            program = build(target, Path(folder), compiler=clang, is_libfuzzer=True)
            held &= fuzz(target, program, seconds=args.seconds, is_kept=args.keep)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
