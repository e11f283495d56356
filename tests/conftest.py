"""What all tests share: options, the Hypothesis profile, C programs compiled to WebAssembly."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from interlock import core
from interlock.cache import FOLDER_VARIABLE
from tests.core import core_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interlock.artifacts import CodeImage

ROOT = Path(__file__).parents[1]
# Tests compile, and leave nothing in the home of who runs them; those of the cache name a folder.
os.environ[FOLDER_VARIABLE] = ""

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quickjs`: where the wasm file of the npm package quickjs-wasi is; `--modules`: how many random ones."""
    parser.addoption(
        "--quickjs", metavar="PATH", help="quickjs.wasm of the npm package quickjs-wasi"
    )
    parser.addoption(
        "--publishes", metavar="N", type=int, default=5000, help="publishes of a changing buffer"
    )
    parser.addoption(
        "--modules", metavar="N", type=int, default=120, help="random modules to compare"
    )
    parser.addoption("--core", metavar="DIR", help="another copy of core/ whose validators to test")
    parser.addoption("--core-cc", metavar="COMMAND", help="what compiles these validators")


@pytest.fixture(scope="session", autouse=True)
def fresh_translations() -> Iterator[None]:
    """Under qemu-user, what is published is translated anew: core_library.forget_translations says why."""
    with pytest.MonkeyPatch.context() as patch:
        if core_library.IS_QEMU:
            publish = core.Arena.publish

            def publish_and_forget(arena: core.Arena, image: CodeImage) -> core.PublishedCode:
                published = publish(arena, image)
                core_library.forget_translations(core.describe_region().code_base)
                return published

            patch.setattr(core.Arena, "publish", publish_and_forget)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Compiles a C file for wasm32-wasi with zig, once for all workers of a run."""
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    # Under xdist the base directory of a worker lies in that of the run.
    cache = tmp_path_factory.getbasetemp().parent / "interlock-wasm"
    cache.mkdir(exist_ok=True)

    def compile_file(source: Path) -> Path:
        key = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
        wasm = cache / f"{source.stem}-{key}.wasm"
        # One compiler at a time: the first one also builds the C library for all.
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not wasm.exists():
                part = wasm.with_suffix(".part")
                command = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2"]
                subprocess.run([*command, str(source), "-o", str(part)], check=True)
                part.rename(wasm)
        return wasm

    return compile_file


@pytest.fixture(scope="session")
def quickjs_wasm(request: pytest.FixtureRequest) -> Path:
    """quickjs.wasm: from `--quickjs`, else from node_modules."""
    option = request.config.getoption("--quickjs")
    path = Path(option) if option else ROOT / "node_modules/quickjs-wasi/quickjs.wasm"
    if not path.exists():
        pytest.skip("needs quickjs.wasm: npm install quickjs-wasi, or --quickjs PATH")
    return path
