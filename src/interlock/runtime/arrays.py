"""Arrays of compiled Python functions: numpy arrays in the sandbox's memory, and other buffers, which are copied.

numpy is imported here only, when an array is first made or passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from interlock import limits
from interlock.runtime.heap import heap
from interlock.typed_python.layout import ELEMENTS, ArrayType, Element, Record
from interlock.typed_python.scalars import BOOL, F64, I64
from interlock.typed_python.values import element_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from interlock.typed_python.layout import Type

    Shape = int | tuple[int, ...]

_MEMORY_BYTES: Final = limits.WASM_MEMORY_PAGES_MAX * limits.WASM_PAGE_BYTES
_NUMPY_NAMES: Final = {
    **{
        f"{sign}{bits}": f"{word}{bits}"
        for sign, word in (("i", "int"), ("u", "uint"))
        for bits in (8, 16, 32, 64)
    },
    "f32": "float32",
    "f64": "float64",
    "bool": "bool",
}
_ELEMENT_OF: Final = {numpy: ELEMENTS[name] for name, numpy in _NUMPY_NAMES.items()}


def dtype_of(element: Element | Record) -> np.dtype[Any]:
    """Numpy's type of an element, with the same layout."""
    import numpy as np

    if isinstance(element, Element):
        # Pointers and references to functions are u32.
        return np.dtype(_NUMPY_NAMES.get(element.name, "uint32"))
    return np.dtype(
        {
            "names": [each.name for each in element.fields],
            "formats": [dtype_of(each.element) for each in element.fields],
            "offsets": [each.offset for each in element.fields],
            "itemsize": element.size_bytes,
        }
    )


def type_of_argument(value: object) -> Type:
    """The type of a parameter that has no annotation, from its argument.  `TypeError` if no type suits."""
    for kind, scalar in ((bool, BOOL), (int, I64), (float, F64)):
        if isinstance(value, kind):
            return scalar
    import numpy as np

    given = np.asarray(value if isinstance(value, np.ndarray | np.generic) else memoryview(value))  # type: ignore[arg-type]  # raises TypeError itself
    element = _ELEMENT_OF.get(given.dtype.name)
    if element is None or not given.dtype.isnative:
        message = f"no parameter has the type of an array of {given.dtype}: annotate it"
        raise TypeError(message)
    return ArrayType(element, given.ndim) if given.ndim else element.scalar


def empty(shape: Shape, dtype: object = float) -> npt.NDArray[Any]:
    """A numpy array in the sandbox, for compiled functions to use without a copy; its numbers are what was there before.

    `dtype` is a type of `interlock.types`, a struct, or one of numpy's.  Raises `MemoryError`.
    """
    import numpy as np

    element = element_of(dtype)
    kind: np.dtype[Any] = np.dtype(dtype) if element is None else dtype_of(element)  # type: ignore[call-overload]  # numpy says what it is not
    if kind.hasobject:
        raise TypeError("an array in the sandbox holds numbers, not objects")
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    count = math.prod(lengths)
    block = heap().allocate(count * kind.itemsize)
    return np.asarray(block).view(kind).reshape(lengths)


def asarray(values: npt.ArrayLike, dtype: object = None) -> npt.NDArray[Any]:
    """The values as a numpy array in the sandbox: themselves if they are one, else a copy."""
    import numpy as np

    element = element_of(dtype)
    kind: Any = dtype if element is None else dtype_of(element)
    given = np.asarray(values, kind)
    if given.flags.c_contiguous and _offset(given) is not None:
        return given
    made = empty(given.shape, given.dtype)
    made[...] = given
    return made


def _offset(array: npt.NDArray[Any]) -> int | None:
    """Where it lies in the sandbox; in what is reserved for its memory lies nothing else."""
    offset: int = array.__array_interface__["data"][0] - heap().base_addr
    return offset if 0 <= offset < _MEMORY_BYTES else None


def array_address(array: npt.NDArray[Any]) -> int:
    """The address of an array's first element in the sandbox, for a parameter that is a pointer.

    Raises `ValueError` for an array that lies elsewhere: make it with `interlock.asarray`.
    """
    offset = _offset(array)
    if offset is None:
        raise ValueError("the array does not lie in the sandbox: make it with interlock.asarray")
    return offset


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayParameter:
    """A parameter that is an array, with what is asked at each call."""

    name: str
    type: ArrayType
    dtype: np.dtype[Any]
    is_written: bool


class Passing:
    """The arrays of one call: where each lies, and what must be copied back."""

    def __init__(self) -> None:
        self._copied: list[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]] = []

    def words(self, to: ArrayParameter, value: object) -> list[int]:
        """Address and lengths of an array for a parameter; `TypeError` or `ValueError` if it does not suit."""
        import numpy as np

        given = value if isinstance(value, np.ndarray) else np.asarray(memoryview(value))  # type: ignore[arg-type]  # raises TypeError itself
        if given.dtype != to.dtype:
            message = (
                f"{to.name} is an array of {given.dtype}, where {to.type} is wanted ({to.dtype})"
            )
            raise TypeError(message)
        if given.ndim != to.type.dimensions:
            message = f"{to.name} has {given.ndim} dimensions, where {to.type} is wanted"
            raise ValueError(message)
        flags = given.flags
        if to.is_written and not flags.writeable:
            message = f"{to.name} is written, and cannot be: it is read-only"
            raise ValueError(message)
        offset = _offset(given) if flags.c_contiguous else None
        if offset is None:
            offset = self._copy(to.name, given, is_written=to.is_written)
        return [offset, *given.shape]

    def _copy(self, name: str, given: npt.NDArray[Any], *, is_written: bool) -> int:
        import numpy as np

        for at, (other, copied, is_other_written) in enumerate(self._copied):
            if (
                other.ctypes.data == given.ctypes.data
                and other.shape == given.shape
                and other.strides == given.strides
            ):
                self._copied[at] = (other, copied, is_written or is_other_written)
                return copied.ctypes.data - heap().base_addr
            if (is_written or is_other_written) and np.may_share_memory(other, given):
                message = f"{name} overlaps another array, and one of them is written: make them with interlock.asarray"
                raise ValueError(message)
        copied = asarray(given)
        self._copied.append((given, copied, is_written))
        return copied.ctypes.data - heap().base_addr

    def copy_back(self) -> None:
        """What was written goes to where it came from."""
        for given, copied, is_written in self._copied:
            if is_written:
                given[...] = copied
