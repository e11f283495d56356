"""Writing one function's instructions: labels, locals, and the two ways to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from interlock.bytecode import BY_NAME, Body, ValType
from interlock.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python.tree import Place

FAILURE_GLOBAL: Final = 0
"""The index of the global that holds the number of the `Failure` that ended a call."""


class BodyBuilder:
    """Instructions in order; structured control is opened and closed, and branches name the label they go to."""

    def __init__(
        self, params: tuple[ValType, ...], failure_of: Callable[[str, str, Place], int]
    ) -> None:
        self._codes: list[int] = []
        self._immediates: list[Any] = []
        self._depth = 0
        self.locals = list(params)
        self._free: dict[ValType, list[int]] = {}
        self._param_count = len(params)
        self._failure_of = failure_of

    def emit(self, name: str, immediate: object = None) -> None:
        """One instruction by its name in the text format."""
        self._codes.append(BY_NAME[name].code)
        self._immediates.append(immediate)

    def write(self, text: str) -> None:
        """Instructions of a text: words, each a name, or `name:N` with an integer."""
        for word in text.split():
            name, colon, number = word.partition(":")
            self.emit(name, int(number) if colon else None)

    # -- control ---------------------------------------------------------------------------------------------------------

    def open(self, name: str, result: ValType | None = None) -> int:
        """Open a block, loop or if; its label."""
        self.emit(name, result)
        self._depth += 1
        return self._depth

    def close(self) -> None:
        """End the innermost one."""
        self.emit("end")
        self._depth -= 1

    def branch(self, label: int, name: str = "br") -> None:
        """Branch to a label that is open."""
        self.emit(name, self._depth - label)

    # -- locals ----------------------------------------------------------------------------------------------------------

    def new_local(self, kind: ValType) -> int:
        """A local that nothing else uses."""
        self.locals.append(kind)
        return len(self.locals) - 1

    def take(self, kind: ValType) -> int:
        """A local for a while: `give` it back."""
        free = self._free.setdefault(kind, [])
        return free.pop() if free else self.new_local(kind)

    def give(self, *indices: int) -> None:
        """Locals that are used no longer."""
        for index in indices:
            self._free[self.locals[index]].append(index)

    # -- failing ---------------------------------------------------------------------------------------------------------

    def fail(self, exception: str, message: str, place: Place) -> None:
        """Raise, here."""
        self.emit("i32.const", self._failure_of(exception, message, place))
        self.emit("global.set", FAILURE_GLOBAL)
        self.emit("unreachable")

    def fail_if(self, exception: str, message: str, place: Place) -> None:
        """Raise if the i32 on the stack is not zero."""
        self.open("if")
        self.fail(exception, message, place)
        self.close()

    def finish(self) -> tuple[Body, tuple[tuple[int, ValType], ...]]:
        """The body and the runs of its declared locals."""
        if self._depth:
            raise InternalError(stage="typed Python", detail="blocks are left open")
        self.emit("end")
        runs: list[tuple[int, ValType]] = []
        for kind in self.locals[self._param_count :]:
            if runs and runs[-1][1] is kind:
                runs[-1] = (runs[-1][0] + 1, kind)
            else:
                runs.append((1, kind))
        body = Body(
            codes=tuple(self._codes),
            immediates=tuple(self._immediates),
            offsets=(0,) * len(self._codes),
        )
        return body, tuple(runs)
