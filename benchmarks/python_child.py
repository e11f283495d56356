"""Measures the kernels of typed Python in a process of its own, compiled by one compiler: `python_child.py interlock|numba FOLDER`.

Prints one object: seconds of the import, and for each kernel nanoseconds of the first call and of a warm one.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
import timeit
from pathlib import Path
from typing import Any

SCALE = 5
ROUNDS = 5
ROUND_SECONDS = 0.01
# numba has no such intrinsics, or no such types.
OURS_ONLY = {"hash_of_bytes", "hash_table", "random_pi", "queens", "mixed_bits"}
NUMBA_HEAD = """\
from numba import float32 as f32, float64 as f64, int32 as i32, int64 as i64, njit, uint8 as u8, uint32 as u32, uint64 as u64
def jit(function=None, inline=False):
    return njit(cache=True)(function) if function else njit(cache=True)
def struct(cls):
    return cls
"""


def main() -> None:
    """Import the compiler, then the kernels, then call each."""
    compiler, folder = sys.argv[1], Path(sys.argv[2])
    start = time.perf_counter()
    __import__(compiler)
    if compiler == "interlock":
        from interlock import jit  # noqa: F401  (names resolve on first use: this is its import)
    import_seconds = time.perf_counter() - start
    kernels = _load(compiler, folder)
    found: dict[str, dict[str, float]] = {}
    for name, (function, make) in kernels.arguments(SCALE).items():
        if name in OURS_ONLY:
            continue
        arguments = make()
        if compiler == "interlock":
            import numpy as np

            import interlock

            arguments = tuple(
                interlock.asarray(each) if isinstance(each, np.ndarray) else each
                for each in arguments
            )
        start = time.perf_counter()
        function(*arguments)
        first = time.perf_counter() - start
        timer = timeit.Timer(lambda: function(*arguments))  # noqa: B023  (called before the next turn)
        count = max(1, int(ROUND_SECONDS / timer.timeit(1)))
        warm = statistics.median(timer.repeat(ROUNDS, count)) / count
        found[name] = {"first": first * 1e9, "warm": warm * 1e9}
    add = kernels.add
    add(1, 2)
    count = 200_000
    rounds = timeit.repeat("add(1, 2)", globals={"add": add}, number=count, repeat=ROUNDS)
    call = statistics.median(rounds) / count * 1e9
    print(json.dumps({"import": import_seconds * 1e9, "kernels": found, "call": call}))


def _load(compiler: str, folder: Path) -> Any:
    source = Path(__file__).with_name("python_kernels.py").read_text("utf-8")
    if compiler == "numba":
        lines = [line for line in source.splitlines() if not line.startswith("from interlock")]
        at = lines.index("import numpy as np")
        source = "\n".join([*lines[:at], NUMBA_HEAD, *lines[at:]])
    path = folder / f"{compiler}_kernels.py"
    if not path.exists() or path.read_text("utf-8") != source:
        path.write_text(source, "utf-8")  # numba's cache looks at the time of the file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101  (a path of ours)
    assert spec.loader is not None  # noqa: S101  (likewise)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
