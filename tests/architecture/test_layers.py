"""The layers of design.md hold, and importing the package is cheap."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "cffi",
    "ctypes",
    "iced_x86",
    "interlock.bytecode",
    "interlock.codegen",
    "interlock.contract",
    "interlock.core",
    "interlock.typed_python",
    "llvmlite",
    "numpy",
    "subprocess",
    "ziglang",
)


def test_import_contracts_hold(repository: Path) -> None:
    lint_imports = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if lint_imports is None:
        pytest.skip("needs import-linter")
    if not (repository / "src/interlock").exists():
        pytest.skip("needs the source tree")

    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=repository, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_importing_interlock_imports_nothing_heavy() -> None:
    spec = importlib.util.find_spec("interlock")
    assert spec is not None
    assert spec.origin is not None
    code = (
        f"import sys; sys.path.insert(0, {str(Path(spec.origin).parents[1])!r})\n"
        "import interlock; interlock.__version__\n"
        "print(*sys.modules)"
    )

    # -S: what `site` imports on its own account (editable installs use `re`) is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )

    imported = done.stdout.split()
    assert "interlock" in imported
    assert not set(imported) & set(HEAVY)


def test_decoding_and_validating_do_not_import_llvm_or_the_core() -> None:
    code = (
        "import sys, interlock.bytecode\n"
        "print(*[n for n in ('llvmlite', 'interlock.core', 'interlock.codegen') if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_contract_needs_neither_llvm_nor_the_core() -> None:
    code = (
        "import sys, interlock; interlock.contract.rules(); interlock.contract.profile('rosetta')\n"
        "heavy = ('ctypes', 'llvmlite', 'interlock.core', 'interlock.codegen', 'interlock.runtime')\n"
        "print(*[n for n in heavy if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_running_webassembly_imports_nothing_of_typed_python(repository: Path) -> None:
    code = (
        "import sys, interlock.cli.main\n"
        f"interlock.cli.main.main(['run', {str(repository / 'examples/hello.wat')!r}])\n"
        "ours = ('typed_python', 'types', 'raw', 'intrinsics', 'runtime.jit', 'runtime.arrays', 'runtime.heap')\n"
        "print(*[n for n in ('numpy', *(f'interlock.{n}' for n in ours)) if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["Hello, world!", ""]


def test_every_public_name_resolves() -> None:
    import interlock

    assert list(interlock.__all__) == sorted(interlock.__all__)
    for name in interlock.__all__:
        assert getattr(interlock, name) is not None
