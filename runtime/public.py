"""All public names that live in the runtime, in one place: the root `__init__` and the namespaces take them from here."""

from __future__ import annotations

from ..ir.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
)
from ..ir.dtypes import bool_ as bool
from .arithmetic import (
    abs,
    add,
    cast,
    divide,
    equal,
    floordiv,
    greater,
    greater_equal,
    identity,
    invert,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    mod,
    multiply,
    negative,
    not_equal,
    pow,
    subtract,
    truediv,
)
from .convert import constant, convert_to_tensor, is_tensor, register_tensor_conversion_function
from .indexing import newaxis
from .ops_complex import angle, complex, conj, imag, real
from .ops_create import eye, fill, lin_space, linspace, ones, ones_like, range, zeros, zeros_like
from .ops_index import (
    boolean_mask,
    embedding_lookup,
    gather,
    gather_nd,
    one_hot,
    reverse_sequence,
    sequence_mask,
    where,
)
from .ops_linalg import adjoint, band_part, cross, diag, diag_part, matmul, matvec, set_diag, tensordot, trace
from .ops_math import *  # noqa: F403
from .ops_nn import *  # noqa: F403
from .ops_reduce import *  # noqa: F403
from .ops_scatter import (
    scatter_nd,
    tensor_scatter_nd_add,
    tensor_scatter_nd_max,
    tensor_scatter_nd_min,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
)
from .ops_shape import *  # noqa: F403
from .tape import GradientTape, UnconnectedGradients
from .tensor import Tensor
from .tensor_shape import TensorShape
from .variable import Variable
