"""The core as built from this tree, once for all workers of a run."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def core_directory(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A directory with libinterlock.so and interlock-writer."""
    cc = os.environ.get("CC")
    if cc is None:
        pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI, or CC")
    spec = importlib.util.spec_from_file_location("core_build", repository / "core/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look the module up by its name while its body runs.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    digest = hashlib.sha256(repr(cc).encode())
    for path in sorted((repository / "core").rglob("*")):
        if path.suffix in {".c", ".h", ".def", ".S", ".py"}:
            digest.update(path.read_bytes())
    # Under xdist the base directory of a worker lies in that of the run, otherwise in one that outlives it: hence the digest.
    out = tmp_path_factory.getbasetemp().parent / f"interlock-core-{digest.hexdigest()[:16]}"
    out.mkdir(exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "interlock-writer").exists():
            module.build(out, cc=cc)
    return out
