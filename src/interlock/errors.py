"""Every error Interlock raises.  Errors carry data; the sentence is made last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.artifacts import Rejection
    from interlock.source import Span
    from interlock.typed_python.diagnostics import Diagnostic


class InterlockError(Exception):
    """Base of all errors of this package."""


class SourceError(InterlockError):
    """The input program is wrong; `span` says where (None: the input as a whole)."""

    def __init__(self, message: str, *, span: Span | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span

    def __str__(self) -> str:
        """The message, with its place in front when there is one."""
        return f"{self.span}: {self.message}" if self.span is not None else self.message


class WasmMalformedError(SourceError):
    """The bytes or the text do not decode to a module (WebAssembly core, chapters Binary and Text Format)."""


class WasmInvalidError(SourceError):
    """The module decodes and breaks a typing rule (WebAssembly core, chapter Validation)."""


class WasmUnlinkableError(SourceError):
    """An import is missing or has another type (WebAssembly core, chapter Execution, section Instantiation)."""


class JsSyntaxError(SourceError):
    """A JavaScript program is no Script or Module, or breaks an early error's rule (ECMA-262)."""

    def __init__(self, message: str, *, span: Span, text: str) -> None:
        super().__init__(message, span=span)
        self.text = text

    def __str__(self) -> str:
        """Place, line, range and message, as V8 shows them."""
        span = self.span
        if span is None:
            return f"SyntaxError: {self.message}"
        width = max(1, min(span.end - span.start, len(self.text) - span.column))
        place = f"{span.file or '<script>'}:{span.line}"
        marks = " " * span.column + "^" * width
        return f"{place}\n{self.text}\n{marks}\nSyntaxError: {self.message}"


class PythonSubsetError(SourceError):
    """A function is not typed Python: all that is wrong with it, each with its place and what to write instead."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        """One block for each message, in the style of Python's own."""
        count = len(self.diagnostics)
        return f"{count} error{'s' if count > 1 else ''}\n{self.message}"


class EntitlementsError(SourceError):
    """A property list does not decode to entitlements, or a Mach-O file or its signature is malformed."""


class ScenarioError(SourceError):
    """The text of a scenario is wrong."""


class ProbeResultError(SourceError):
    """A file is no result of the probe for real Macs."""


class AuditSetupError(SourceError):
    """An audit cannot begin as it was asked for: its settings, its baseline, its revision or a fix; never a finding."""


class UnknownNameError(InterlockError):
    """There is no profile, rule or switch of this name; `near` lists what may have been meant."""

    def __init__(self, *, kind: str, name: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name
        self.near = near

    def __str__(self) -> str:
        """`there is no rule 'C99'; did you mean C25, C24 or C23?`."""
        *first, last = self.near or ("",)
        hint = f"; did you mean {', '.join(first)}{' or ' if first else ''}{last}?" if last else ""
        return f"there is no {self.kind} {self.name!r}{hint}"


class MissingPackageError(InterlockError):
    """A part of Interlock needs a package that is not installed; `extra` installs it."""

    def __init__(self, *, package: str, extra: str, need: str) -> None:
        super().__init__(package, extra, need)
        self.package = package
        self.extra = extra
        self.need = need

    def __str__(self) -> str:
        """`the modelled Mac needs unicorn: pip install 'interlock[mac]'`."""
        return f"{self.need} needs {self.package}: pip install 'interlock[{self.extra}]'"


class CompileError(InterlockError):
    """A valid program could not be compiled."""


class UnsupportedError(CompileError):
    """The program uses a feature which this version does not have."""

    def __init__(self, feature: str, *, span: Span | None = None) -> None:
        super().__init__(feature)
        self.feature = feature
        self.span = span

    def __str__(self) -> str:
        """`<place>: not supported: <feature>`."""
        place = f"{self.span}: " if self.span is not None else ""
        return f"{place}not supported: {self.feature}"


class LimitExceededError(CompileError):
    """A named limit of `interlock.limits`, or one given by the caller, was passed."""

    def __init__(
        self, *, limit: str, value: int, maximum: int | None = None, span: Span | None = None
    ) -> None:
        super().__init__(limit, value)
        self.limit = limit
        self.value = value
        self.maximum = maximum
        self.span = span

    def __str__(self) -> str:
        """`<place>: <value> passes the limit NAME (maximum)`."""
        place = f"{self.span}: " if self.span is not None else ""
        top = f" ({self.maximum})" if self.maximum is not None else ""
        return f"{place}{self.value} passes the limit {self.limit}{top}"


class LinkError(CompileError):
    """An object refers to something that is neither in it nor in the import table."""

    def __init__(self, *, symbol: str, detail: str) -> None:
        super().__init__(symbol, detail)
        self.symbol = symbol
        self.detail = detail

    def __str__(self) -> str:
        """`<symbol>: <detail>`."""
        return f"{self.symbol}: {self.detail}"


class CodeRejectedError(InterlockError):
    """The core refused machine code: a bug of a compiler or an attack.  Nothing was written."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection)
        self.rejection = rejection

    def __str__(self) -> str:
        """The rejection in one line: rule, offset, bytes, text."""
        return str(self.rejection)


class CodeMemoryError(InterlockError):
    """Code memory could not be had, written or kept."""

    def __init__(self, *, operation: str, status: str, errno: int = 0) -> None:
        super().__init__(operation, status, errno)
        self.operation = operation
        self.status = status
        self.errno = errno

    def __str__(self) -> str:
        """`<operation>: <status> (<system error>)`."""
        system = f" ({os.strerror(self.errno)})" if self.errno else ""
        return f"{self.operation}: {self.status}{system}"


class Trap(InterlockError):  # noqa: N818  (the WebAssembly standard's word)
    """The guest failed; the host is fine.  `kind` is the standard's text, for example ``unreachable``."""

    def __init__(self, kind: str, *, code: int, function: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.code = code
        self.function = function

    def __str__(self) -> str:
        """`trap: <kind> in <function>`."""
        place = f" in {self.function}" if self.function else ""
        return f"trap: {self.kind}{place}"


class ExitError(InterlockError):
    """The guest ended itself with this status (WASI ``proc_exit``)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        """`the program exited with status N`."""
        return f"the program exited with status {self.status}"


class ClosedError(InterlockError):
    """An object was used after its `close()`."""


class InternalError(InterlockError):
    """A broken invariant of ours: please report it."""

    def __init__(self, *, stage: str, detail: str) -> None:
        super().__init__(stage, detail)
        self.stage = stage
        self.detail = detail

    def __str__(self) -> str:
        """`internal error in <stage>: <detail>`."""
        return f"internal error in {self.stage}: {self.detail} (please report this)"
