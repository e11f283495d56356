"""Ctrl-C for a program in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess


def output_under_interrupts(process: subprocess.Popen[str]) -> str:
    """What a process prints, from its line `ready` on, while it gets Ctrl-C until it ends."""
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # The first may come before guest code is reached, where a handler that raises nothing swallows it.
        for _ in range(60):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, _ = process.communicate(timeout=0.5)
                break
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    return out
