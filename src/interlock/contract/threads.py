"""The state of one thread: what it may do with RWX MAP_JIT pages, and the rule that explains how it came to that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum


class JitState(Enum):
    """`UNSET`: a forked child of which nothing is known (K3); neither writes nor executes."""

    RX = "rx"
    RW = "rw"
    UNSET = "unset"


@dataclass(slots=True, kw_only=True)
class Thread:
    """A thread of a modelled process.

    `cause` names the rule to blame if the next access faults.  `windows` counts toggles to RW that were not matched: the system
    has no such count (T6), it serves the explanation only.
    """

    name: str
    state: JitState = JitState.RX
    cause: str = "T1"
    windows: int = 0
    callbacks: int = 0
    interrupted: list[Thread] = field(default_factory=list)

    def toggle(self, *, is_protected: bool) -> None:
        """`pthread_jit_write_protect_np` (T4)."""
        if is_protected:
            self.windows = max(0, self.windows - 1)
            self._to_rx(if_open="T6")
        else:
            self.windows += 1
            self.state, self.cause = JitState.RW, "T7"

    def enter_callback(self) -> None:
        """The call has switched to RW and goes into the callback (C2)."""
        self.callbacks += 1
        self.state, self.cause = JitState.RW, "C5"

    def refuse_callback(self) -> None:
        """The call puts RX back before it crashes (C8)."""
        self._to_rx(if_open="C3")

    def return_from_callback(self) -> None:
        """The call always leaves RX behind (C3)."""
        self.callbacks -= 1
        self._to_rx(if_open="C3")

    def escape_from_callback(self) -> None:
        """A jump past the call's end leaves RW behind (C4)."""
        self.callbacks -= 1
        self.state, self.cause = JitState.RW, "C4"

    def enter_handler(self, *, keeps_state: bool) -> None:
        """A signal is delivered; what was interrupted is remembered (T12)."""
        self.interrupted.append(replace(self, interrupted=[]))
        if self.state is JitState.RW:
            self.cause = "T12"
            if not keeps_state:
                self.state = JitState.RX

    def leave_handler(self, *, keeps_change: bool) -> None:
        """The handler returns; whether its toggles stay is a switch (T12)."""
        before = self.interrupted.pop()
        if not keeps_change:
            self.state, self.cause = before.state, before.cause
            self.windows, self.callbacks = before.windows, before.callbacks

    def _to_rx(self, *, if_open: str) -> None:
        is_open = self.windows + self.callbacks > 0
        self.state, self.cause = JitState.RX, if_open if is_open else "T1"
