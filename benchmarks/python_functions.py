"""Typed Python beside numba on the same sources: import, first call, warm speed, and what a call costs.

Each compiler runs in processes of its own, so that they take no turns: other load may meet one of them alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import measure

_CHILD = Path(__file__).with_name("python_child.py")
_RUNS = ("interlock", "numba", "numba from its cache")


def run(work: Path) -> list[measure.Table]:
    """Each compiler in processes of its own; the second of numba's finds what the first has cached."""
    if importlib.util.find_spec("numba") is None:
        raise measure.PeerMissingError("numba: pip install interlock[benchmarks]")
    load = os.getloadavg()[0]
    found = {name: _measured(name.split()[0], work) for name in _RUNS}
    kernels = list(found["numba"]["kernels"])
    remark = f"{len(kernels)} kernels of `benchmarks/python_kernels.py`; arrays in the sandbox."
    tables = [
        _table(
            "Python function: import",
            {name: each["import"] for name, each in found.items()},
            f"Here and below, each compiler in a process of its own, one after the other; load before: {load:.1f}.",
            "Import and first call: once; the rest: medians of five rounds.",
        ),
        _table(
            "Python function: first call, geometric mean",
            {name: _mean(each, "first") for name, each in found.items()},
            "The first kernel's includes what the compiler does once.",
        ),
        _table(
            "Python function: warm, geometric mean",
            {name: _mean(found[name], "warm") for name in _RUNS[:2]},
            remark,
        ),
        _table(
            "Python function: a call with two integers",
            {name: found[name]["call"] for name in _RUNS[:2]},
        ),
    ]
    ratios = {
        name: found["interlock"]["kernels"][name]["warm"] / found["numba"]["kernels"][name]["warm"]
        for name in kernels
    }
    worst = ", ".join(
        f"{name} {ratios[name]:.2f}" for name in sorted(ratios, key=ratios.__getitem__)
    )
    tables.append(
        _table(
            "Python function: warm, sum over the kernels",
            {
                name: sum(each["warm"] for each in found[name]["kernels"].values())
                for name in _RUNS[:2]
            },
            f"Warm, in numba's: {worst}.",
        )
    )
    return tables


def _measured(compiler: str, work: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(_CHILD), compiler, str(work)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(work / "numba")},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _mean(found: dict[str, Any], what: str) -> float:
    return statistics.geometric_mean(each[what] for each in found["kernels"].values())


def _table(title: str, values: dict[str, float], *remarks: str) -> measure.Table:
    return measure.table(title, "numba", values, remarks=remarks)
