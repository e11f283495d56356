"""The modelled Mac: our AArch64 code on a processor, a kernel and a libSystem that obey Apple's contract.  Needs Unicorn."""

from interlock.mac.kernel import Event, GuestProcess, GuestThread, Mac, Pause
from interlock.mac.program import Program, StoppedError, library_bytes
from interlock.mac.scenario_machine import MacMachine

__all__ = [
    "Event",
    "GuestProcess",
    "GuestThread",
    "Mac",
    "MacMachine",
    "Pause",
    "Program",
    "StoppedError",
    "library_bytes",
]
