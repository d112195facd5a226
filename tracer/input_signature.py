"""`input_signature=`: declared types of the arguments; every call is brought to them, so one trace serves all calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..runtime.convert import as_tensor
from ..runtime.location import at
from ..runtime.tensor import Tensor
from .signature import Signature
from .spec import TensorSpec
from .structure import describe, flatten, rebuild


class InputSignature:
    """The declared specs, checked against the Python signature.

    Raises:
      TypeError: when it is not a sequence, or has more entries than the function has parameters.
      ValueError: when a parameter without a default has no spec.
    """

    def __init__(self, specs: Any, signature: Signature) -> None:
        if not isinstance(specs, (list, tuple)):
            raise TypeError(f"input_signature must be a tuple or list of TensorSpecs, found {specs!r}")
        self.specs = tuple(specs)
        self.signature = signature
        n, most = len(self.specs), len(signature.positional)
        name = signature.function_name
        if n > most and signature.varargs is None:
            raise TypeError(f"input_signature has {n} entries, but {name}{signature.signature} takes {most} arguments")
        for p in signature.positional[n:]:
            if p.default is p.empty:
                raise ValueError(f"input_signature of {name}{signature.signature} has no entry for '{p.name}'")

    def conform(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The canonical argument values with each tensor checked, or made, as its spec says.

        Raises:
          TypeError: for a structure, dtype or shape that the spec does not allow.
        """
        count = len(self.signature.positional)
        out = list(values)
        for i, spec in enumerate(self.specs[:count]):
            out[i] = self._match(spec, values[i], self.signature.names[i])
        if self.signature.varargs is not None and len(self.specs) >= count:
            extra = self.specs[count:]
            if len(values[count]) != len(extra):
                raise TypeError(
                    f"{self.signature.function_name}: input_signature has {len(self.specs)} entries, "
                    f"found {count + len(values[count])} arguments"
                )
            name = self.signature.varargs
            out[count] = tuple(
                self._match(s, v, f"{name}_{k}") for k, (s, v) in enumerate(zip(extra, values[count], strict=True))
            )
        return tuple(out)

    def leaf_dims(self) -> list[tuple[Any, ...] | None]:
        """The declared shape of each tensor, in the order of the arguments' tensors; None for one of any rank."""
        return [s.dims for s in flatten(list(self.specs))[1] if isinstance(s, TensorSpec)]

    def _match(self, spec: Any, value: Any, name: str) -> Any:
        if hasattr(spec, "dims") and hasattr(spec, "dtype"):
            return self._tensor(spec, value, name)
        structure, items = (None, []) if spec is None else describe(spec)
        if structure is None:
            if type(spec) is type(value) and spec == value:
                return value
            raise self._refuse(name, spec, repr(value))
        found, given = (None, []) if value is None else describe(value)
        if found is None or found.kind != structure.kind or len(given) != len(items) or found.keys != structure.keys:
            raise self._refuse(name, spec, repr(value))
        keys: Sequence[Any] = structure.keys or range(len(items))
        return rebuild(found, [self._match(s, v, f"{name}[{k!r}]") for k, s, v in zip(keys, items, given, strict=True)])

    def _tensor(self, spec: TensorSpec, value: Any, name: str) -> Any:
        if isinstance(value, TensorSpec):
            if not spec.is_compatible_with(value):
                raise self._refuse(name, spec, repr(value))
            return value
        try:
            tensor = (
                value
                if isinstance(value, Tensor)
                else as_tensor(value, None if hasattr(value, "_as_tensor") else spec.dtype)
            )
        except (TypeError, ValueError) as e:
            raise self._refuse(name, spec, f"{value!r} ({e})") from None
        if tensor.dtype != spec.dtype or not spec.shape.is_compatible_with(tensor.shape):
            raise self._refuse(name, spec, str(tensor.type))
        return tensor

    def _refuse(self, name: str, spec: Any, found: str) -> TypeError:
        return TypeError(
            f"{self.signature.function_name}: argument '{name}' does not fit its input_signature: declared {spec!r}, "
            f"found {found}{at()}"
        )
