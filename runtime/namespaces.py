"""The sub-modules of the public face: `pb.math`, `pb.nn`, `pb.random` and so on, each a module that can be imported."""

from __future__ import annotations

import sys
import types
from typing import Any

from ..ir import dtypes as _dtypes
from . import (
    custom_gradient,
    forward,
    misc,
    public,
    tape,
)
from . import (
    debugging as _debugging,
)
from . import (
    errors as _errors,
)
from . import (
    nest as _nest,
)
from . import ops_solve as _solve
from . import ops_special as _special
from . import random as _random
from . import (
    tfe as _tfe,
)
from . import threading_config as _threading

_MATH = """abs accumulate_n acos acosh add add_n angle argmax argmin asin asinh atan atan2
atanh bincount ceil conj cos cosh count_nonzero cumprod cumsum cumulative_logsumexp divide divide_no_nan equal erf erfc
erfcinv erfinv exp expm1 floor floordiv floormod:mod greater greater_equal imag in_top_k is_finite is_inf is_nan
l2_normalize less less_equal log log1p log_ndtr log_sigmoid log_softmax logical_and logical_not logical_or logical_xor
maximum minimum mod multiply multiply_no_nan ndtri negative nextafter not_equal pow real reciprocal
reciprocal_no_nan reduce_all reduce_any reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean reduce_min
reduce_prod reduce_std reduce_sum reduce_variance rint round rsqrt scalar_mul segment_max segment_mean segment_min
segment_prod segment_sum sigmoid sign sin sinh softmax softplus softsign sqrt square squared_difference subtract tan
tanh top_k truediv unsorted_segment_max unsorted_segment_mean unsorted_segment_min unsorted_segment_prod
unsorted_segment_sum xdivy xlog1py xlogy zero_fraction"""
_LINALG = """adjoint band_part cross diag diag_part einsum eye global_norm l2_normalize matmul matrix_transpose matvec
norm set_diag tensordot trace"""
_NN = """batch_normalization bias_add crelu dropout elu embedding_lookup gelu in_top_k l2_loss l2_normalize leaky_relu
log_poisson_loss log_softmax moments relu relu6 selu sigmoid sigmoid_cross_entropy_with_logits silu softmax
softmax_cross_entropy_with_logits softplus softsign sparse_softmax_cross_entropy_with_logits swish tanh top_k
weighted_cross_entropy_with_logits zero_fraction"""
_DTYPES = """bfloat16 complex64 complex128 float16 float32 float64 int8 int16 int32 int64 string uint8 uint16 uint32
uint64"""
_BITWISE = "bitwise_and bitwise_or bitwise_xor invert"


def namespace(name: str, names: dict[str, Any], doc: str) -> types.ModuleType:
    """A module of public names, which `import pullback.<name>` finds too."""
    full = f"{__name__.split('.')[0]}.{name}"
    module = types.ModuleType(full, doc)
    module.__dict__.update(names, __all__=sorted(names))
    sys.modules[full] = module
    return module


def _pick(words: str) -> dict[str, Any]:
    pairs = (w.split(":") if ":" in w else (w, w) for w in words.split())
    return {name: getattr(public, source) for name, source in pairs}


def _module(source: Any, names: list[str]) -> dict[str, Any]:
    return {n: getattr(source, n) for n in names}


math = namespace(
    "math", {**_pick(_MATH), **_module(_special, _special.__all__)}, "Elementwise math, reductions, segments."
)
linalg = namespace(
    "linalg", {**_pick(_LINALG), **_module(_solve, [n for n in _solve.__all__ if n != "LogMatrixDeterminant"])},
    "Matrix products, linear equations, factorisations, diagonals.",
)  # fmt: skip
nn = namespace("nn", _pick(_NN), "Activations, cross-entropies, normalisation.")
bitwise = namespace("bitwise", _pick(_BITWISE), "Logic on the bits of integers.")
dtypes = namespace(
    "dtypes",
    {**_pick(_DTYPES), "DType": _dtypes.DType, "as_dtype": _dtypes.as_dtype, "bool": _dtypes.bool_,
     "cast": public.cast, "complex": public.complex, "saturate_cast": public.saturate_cast},
    "Element types.",
)  # fmt: skip
random = namespace("random", _module(_random, _random.__all__), "Counter-based random numbers.")
random.__dict__["experimental"] = types.SimpleNamespace(
    Generator=_random.Generator, get_global_generator=_random.get_global_generator,
    set_global_generator=_random.set_global_generator, stateless_shuffle=_random.stateless_shuffle,
    stateless_split=_random.split,
)  # fmt: skip
errors = namespace("errors", _module(_errors, [n for n in _errors.__all__ if n != "fail"]), "What operations raise.")
nest = namespace(
    "nest",
    _module(_nest, ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]),
    "Nested structures.",
)
debugging = namespace(
    "debugging",
    {n: v for n, v in vars(_debugging).items() if n.startswith(("assert_", "Assert", "check_", "is_"))
     and n not in ("is_tensor", "is_finite")},
    "Assertions on tensors.",
)  # fmt: skip
autodiff = namespace(
    "autodiff",
    {"ForwardAccumulator": forward.ForwardAccumulator, "GradientTape": tape.GradientTape,
     "UnconnectedGradients": tape.UnconnectedGradients, "custom_gradient": custom_gradient.custom_gradient},
    "Differentiation.",
)  # fmt: skip
_TFE = [
    "gradients_function", "implicit_grad", "implicit_gradients", "implicit_val_and_grad",
    "implicit_value_and_gradients", "val_and_grad_function", "value_and_gradients_function",
]  # fmt: skip
tfe = namespace(
    "tfe",
    {
        **_module(_tfe, _TFE),
        "Variable": public.Variable,
        "GradientTape": tape.GradientTape,
        "enable_eager_execution": public.enable_eager_execution,
    },
    "The function transformers of TensorFlow 1's eager mode.",
)
contrib = namespace("contrib", {"eager": tfe}, "TensorFlow 1's name of `tfe`.")
sys.modules[contrib.__name__ + ".eager"] = tfe
config = namespace(
    "config",
    {
        "list_physical_devices": misc.list_physical_devices,
        "list_logical_devices": misc.list_logical_devices,
        "set_visible_devices": misc.set_visible_devices,
        "experimental": types.SimpleNamespace(list_physical_devices=misc.list_physical_devices),
        "threading": types.SimpleNamespace(**_module(_threading, _threading.NAMES)),
    },
    "Settings of the process.",
)
