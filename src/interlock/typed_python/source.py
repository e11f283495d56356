"""Parse: a Python function's own source as a syntax tree, whose positions are those of its file."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.errors import PythonSubsetError
from interlock.typed_python.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_SOURCE: Final = "its source is not available: write it in a file or a notebook's cell"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """A Python function that is to be compiled, and what its author asked for."""

    function: Callable[..., object]
    is_inlined: bool = False

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def file(self) -> str:
        """Where its source stands."""
        return self.function.__code__.co_filename

    def lookup(self, name: str) -> object:
        """What a name means that the function does not assign: closure, module, built-in.  Raises `KeyError`."""
        code = self.function.__code__
        if name in code.co_freevars:
            cell = (self.function.__closure__ or ())[code.co_freevars.index(name)]
            try:
                return cell.cell_contents
            except ValueError:  # not assigned yet
                raise KeyError(name) from None
        names = self.function.__globals__
        return names[name] if name in names else vars(builtins)[name]

    def line_text(self, line: int) -> str:
        """One line of its file."""
        return linecache.getline(self.file, line).rstrip("\n")

    def __repr__(self) -> str:
        """`<definition of f>`."""
        return f"<definition of {self.name}>"


def parse(definition: Definition) -> ast.FunctionDef:
    """The function's syntax tree.  Raises `PythonSubsetError` where there is no source, or no plain function."""
    code = definition.function.__code__
    if code.co_name == "<lambda>":
        raise _refuse(definition, "a lambda is not supported: write a function with def")
    try:
        lines, first = inspect.getsourcelines(code)
        (found,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        raise _refuse(definition, _NO_SOURCE) from None
    # What `exec` made may have the file name of another text: "<string>" is that of `python -c` since 3.13.
    if getattr(found, "name", "") != code.co_name:
        raise _refuse(definition, _NO_SOURCE)
    if not isinstance(found, ast.FunctionDef):
        raise _refuse(definition, "an async function is not supported: write a function with def")
    ast.increment_lineno(found, first - 1)
    indent = len(lines[0]) - len(lines[0].lstrip())
    for node in ast.walk(found):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.pattern):
            node.col_offset += indent
            node.end_col_offset = (node.end_col_offset or 0) + indent
    return found


def _refuse(definition: Definition, message: str) -> PythonSubsetError:
    line = definition.function.__code__.co_firstlineno
    found = Diagnostic(
        file=definition.file,
        line=line,
        column=0,
        end_column=0,
        function=definition.name,
        text=definition.line_text(line),
        message=message,
    )
    return PythonSubsetError((found,))
