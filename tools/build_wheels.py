"""Builds the wheels of all platforms on this one; equal sources make equal files.

python tools/build_wheels.py OUT [TARGET...]     targets as in core/build.py; all of them without any

Prints each wheel with its size and SHA-256.  `pip wheel .` makes the one of the machine it runs on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


def load_core_build() -> ModuleType:
    """`core/build.py`, which is not a package."""
    spec = importlib.util.spec_from_file_location("core_build", ROOT / "core/build.py")
    if spec is None or spec.loader is None:
        message = "cannot load core/build.py"
        raise RuntimeError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def build_wheel(out_dir: Path, target: str) -> Path:
    """Build the wheel of one target."""
    from hatchling.builders.wheel import WheelBuilder

    config: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["target"] = target
    builder = WheelBuilder(str(ROOT), config=config)
    (wheel,) = builder.build(directory=str(out_dir), versions=["standard"])
    return Path(wheel)


def main() -> int:
    """Build what the command line asks for."""
    targets = load_core_build().TARGETS
    asked = sys.argv[2:] or list(targets)
    if len(sys.argv) < 2 or not set(asked) <= set(targets):
        print(f"{__doc__}\nTargets: {', '.join(targets)}", file=sys.stderr)
        return 2
    for target in asked:
        wheel = build_wheel(Path(sys.argv[1]).resolve(), target)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        print(f"{wheel} {wheel.stat().st_size} {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
