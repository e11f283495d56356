"""Compiling the peers and the programs with zig's C compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NATIVE = ("-O3", "-march=x86_64_v3", "-ffp-contract=off", "-fPIC", "-shared", "-fno-sanitize=all")
WASI_REACTOR = ("-target", "wasm32-wasi", "-O2", "-mexec-model=reactor", "-Wl,--export=run")
WASI_COMMAND = ("-target", "wasm32-wasi", "-O2")


def compile_c(source: Path, out: Path, *flags: str) -> Path:
    """Compile and link one C file."""
    command = [sys.executable, "-m", "ziglang", "cc", str(source), *flags, "-o", str(out)]
    subprocess.run(command, check=True)
    return out
