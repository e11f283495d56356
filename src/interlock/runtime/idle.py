"""What can only be freed while no thread is inside published code: guest frames below may still use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock import core

if TYPE_CHECKING:
    from collections.abc import Callable

_waiting: list[Callable[[], None]] = []


def when_idle(action: Callable[[], None]) -> None:
    """Do it now, or later if code is running: a host function may close the instance that called it."""
    _waiting.append(action)
    run_waiting()


def run_waiting() -> None:
    """Do what waits, unless code is running."""
    while _waiting and not core.is_running():
        try:
            action = _waiting.pop()
        except IndexError:  # another thread was faster
            return
        action()
