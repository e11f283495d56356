"""The modelled Mac: our AArch64 code on a processor, a kernel and a libSystem that obey Apple's contract.  Needs Unicorn."""

from interlock.mac import libc as libc  # its functions become libSystem's
from interlock.mac.kernel import Event, GuestProcess, GuestThread, Mac, Pause
from interlock.mac.scenario_machine import MacMachine

__all__ = ["Event", "GuestProcess", "GuestThread", "Mac", "MacMachine", "Pause"]
