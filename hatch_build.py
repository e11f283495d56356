"""Build hook: compiles the core with zig's C compiler (or `CC`) and puts it into the wheel."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType

# The library is linked against glibc 2.17 symbols (core/build.py), which is what manylinux2014 promises.
_WHEEL_TAG = "py3-none-manylinux_2_17_x86_64"


class CoreBuildHook(BuildHookInterface[Any]):
    """Runs before the wheel's files are collected, for plain and for editable installs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build libinterlock, the writer program and the binding; tag the wheel for the platform."""
        del version  # "standard" or "editable": both read the same place
        if sys.platform != "linux" or platform.machine() != "x86_64":
            message = f"interlock 0.1 runs on x86-64 Linux only, not on {sys.platform} {platform.machine()}"
            raise RuntimeError(message)
        root = Path(self.root)
        out_dir = root / "src" / "interlock" / "core" / "_native"
        out_dir.mkdir(parents=True, exist_ok=True)
        _load(root / "core" / "build.py").build(out_dir, cc=os.environ.get("CC"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = False
        build_data["tag"] = _WHEEL_TAG


def _load(path: Path) -> ModuleType:
    """The module at `path`, which is not on the import path of an isolated build."""
    spec = importlib.util.spec_from_file_location("interlock_core_build", path)
    if spec is None or spec.loader is None:
        message = f"cannot load {path}"
        raise RuntimeError(message)
    module = importlib.util.module_from_spec(spec)
    # dataclasses and typing look a module up by its name while its body runs.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
