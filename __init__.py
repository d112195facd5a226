"""pullback: a differentiating compiler for Python on CPUs, with TensorFlow 2's programming model.

    import pullback as pb

Names only: what they are is in `runtime/public.py` (tensors, variables, tapes, ops), `tracer/public.py` (`function` and
what belongs to it) and `keras`. The last two are imported when first used, so that importing stays cheap.
"""

from typing import TYPE_CHECKING, Any

from .runtime.memory import memory
from .runtime.misc import __version__
from .runtime.namespaces import (
    autodiff,
    bitwise,
    config,
    contrib,
    debugging,
    dtypes,
    errors,
    linalg,
    math,
    nest,
    nn,
    random,
    tfe,
)
from .runtime.public import *  # noqa: F403
from .runtime.public import __all__ as _runtime_names
from .tracer import scopes as _scopes
from .tracer.scopes import (
    executing_eagerly,
    functions_run_eagerly,
    init_scope,
    inside_function,
    run_functions_eagerly,
)

if TYPE_CHECKING:
    from . import keras
    from .tracer.public import (
        ConcreteFunction,
        Function,
        TensorSpec,
        autograph,
        case,
        cond,
        control_dependencies,
        foldl,
        foldr,
        function,
        gradients,
        group,
        map_fn,
        no_op,
        scan,
        switch_case,
        unroll,
        vectorized_map,
        while_loop,
    )

config.__dict__.update(
    memory=memory,
    check_bounds=_scopes.check_bounds,
    checks_bounds=_scopes.checks_bounds,
    run_functions_eagerly=run_functions_eagerly,
    functions_run_eagerly=functions_run_eagerly,
    experimental_run_functions_eagerly=run_functions_eagerly,
    experimental_functions_run_eagerly=functions_run_eagerly,
)

_LAZY = (
    "ConcreteFunction", "Function", "TensorSpec", "autograph", "case", "cond", "control_dependencies", "foldl", "foldr",
    "function", "gradients", "group", "map_fn", "no_op", "scan", "switch_case", "unroll", "vectorized_map",
    "while_loop",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LAZY:
        globals()[name] = found = getattr(import_module(".tracer.public", __name__), name)
        return found
    if name in ("keras", "optimizers", "losses", "metrics", "initializers"):
        keras = import_module(".keras", __name__)
        return keras if name == "keras" else getattr(keras, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


__all__ = [
    "ConcreteFunction", "Function", "TensorSpec", "__version__", "autodiff", "autograph", "bitwise", "case", "cond",
    "config", "contrib", "control_dependencies", "debugging", "dtypes", "errors", "executing_eagerly", "foldl", "foldr",
    "function", "functions_run_eagerly", "gradients", "group", "init_scope", "inside_function", "keras", "linalg",
    "map_fn", "math", "nest", "nn", "no_op", "random", "run_functions_eagerly", "scan", "switch_case", "tfe", "unroll",
    "vectorized_map", "while_loop",
]  # fmt: skip
__all__ += _runtime_names
