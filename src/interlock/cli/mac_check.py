"""`interlock mac check`: whether the launcher of a kit works on this Mac; run by the launcher itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from interlock.cli import output
from interlock.errors import InterlockError

if TYPE_CHECKING:
    import argparse

    from interlock.kit import Facts

SUMMARY = "check a signed launcher, inside it, on a Mac"
_EPILOG = """\
examples:
  bin/interlock-launcher -m interlock mac check       what sign.sh of `interlock mac kit` does at its end
  interlock mac check --json                          the same as an object, in any Python: says what a launcher would change
"""
_SECONDS_MAX = 60
_CALL = "import ctypes; ctypes.CDLL(None).{}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mac check`."""
    parser.epilog = _EPILOG
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print every check; 1 if one fails."""
    import platform

    if platform.system() != "Darwin":
        raise output.UsageError("mac check looks at this process as macOS sees it: run it there")
    from interlock import kit

    checks = kit.judge(_facts())
    is_met = all(check.is_met for check in checks)
    if args.json:
        rows = [
            {"rule": each.rule, "text": each.text, "is_met": each.is_met, "seen": each.seen}
            for each in checks
        ]
        output.print_json({"is_met": is_met, "checks": rows})
    else:
        print("\n".join(map(str, checks)))
    return output.EXIT_DONE if is_met else output.EXIT_NO


def _facts() -> Facts:
    import platform

    from interlock import kit

    protection, result = _publish()
    return kit.Facts(
        program=Path(sys.executable),
        architecture=platform.machine(),
        # After publishing: the core is there by then in any case.
        core_libraries=_core_libraries(),
        toggle_status=_status_of_call("pthread_jit_write_protect_np(1)"),
        freeze_status=_status_of_call("pthread_jit_write_freeze_callbacks_np()"),
        protection=protection,
        result=result,
    )


def _publish() -> tuple[str, str]:
    """The level of protection and the function's result, or why there is none."""
    import interlock
    from interlock.kit import self_check

    try:
        with interlock.Engine() as engine:
            instance = engine.instantiate(engine.compile_wat(self_check.PROGRAM))
            add = cast(Callable[..., int], instance.exports.add)
            return engine.protection.value, str(add(*self_check.ARGUMENTS))
    except InterlockError as error:
        return "none", str(error)


def _status_of_call(call: str) -> int:
    """How a child of this very program ends that makes a call of the system."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", _CALL.format(call)],
        capture_output=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    return done.returncode


def _core_libraries() -> tuple[Path, ...]:
    """The images of the core that the loader has in this process."""
    import ctypes

    system = ctypes.CDLL(None)
    system._dyld_get_image_name.restype = ctypes.c_char_p  # noqa: SLF001  (the loader's own names)
    names = (
        system._dyld_get_image_name(index)  # noqa: SLF001  (likewise)
        for index in range(system._dyld_image_count())  # noqa: SLF001  (likewise)
    )
    paths = (Path(name.decode()) for name in names if name)
    return tuple(path for path in paths if path.name == "libinterlock.dylib")
