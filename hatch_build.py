"""Build hook: compiles the core with zig's C compiler (or `CC`), and the launchers for macOS, and puts them into the wheel.

The wheel is for this machine, or for the `target` of the hook's configuration (tools/build_wheels.py): a name of core/build.py.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType


class CoreBuildHook(BuildHookInterface[Any]):
    """Runs before the wheel's files are collected, for plain and for editable installs."""

    PLUGIN_NAME = "custom"
    _work: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the core's files for the target; tag the wheel for its platform."""
        root = Path(self.root)
        core = _load(root / "core" / "build.py")
        target = self.config.get("target") or core.native_target()
        if version == "editable":
            package = root / "src" / "interlock"
        else:
            self._work = tempfile.TemporaryDirectory(prefix="interlock-")
            package = Path(self._work.name)
        made = [
            *core.build(package / "core" / "_native", target=target, cc=os.environ.get("CC")),
            *core.build_launchers(package / "kit" / "_native"),
            *core.build_modelled(package / "mac" / "_native"),
            *core.build_apple(
                package / "apple" / "_native", target=target, cc=os.environ.get("CC")
            ),
        ]
        if version != "editable":
            build_data["force_include"] |= {
                str(path): f"interlock/{path.relative_to(package)}" for path in made
            }
        build_data["pure_python"] = False
        build_data["infer_tag"] = False
        build_data["tag"] = f"py3-none-{core.TARGETS[target].wheel_platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what the wheel was made of."""
        del version, build_data, artifact_path
        if self._work is not None:
            self._work.cleanup()


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
