"""Source rewriting: a Python function in, one out that does the same and whose control flow also works on tensors.

`convert` finds the function's source, rewrites its syntax tree (`rewrite_jumps`, `rewrite_emit`) and compiles the
result under the user's file name and line numbers. The new function shares globals, closure cells, defaults and
attributes with the original. What it calls is converted when it is called (`control.call`): functions of the user's own
modules, never those of libraries. The work is done once per code object.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import threading
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

from .methods import WeakMethod
from .rewrite_emit import Emitter, has_yield
from .rewrite_jumps import Unsuitable
from .rewrite_source import Found, find, is_library

ENABLED = True  # the switch: with False, functions run as they stand
HELPER = "ag__"
OPT_OUT = "_pullback_do_not_convert"
_FUTURE = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
_codes: dict[tuple[str, CodeType], CodeType | None] = {}
_lock = threading.Lock()


def convert(f: Any) -> Any:
    """A callable whose Python control flow works on tensors, or `f` itself where there is nothing to rewrite."""
    if isinstance(f, FunctionType):
        return converted_function(f)
    if isinstance(f, MethodType):
        inner = f.__func__
        if isinstance(inner, FunctionType):
            new = converted_function(inner)
            return f if new is inner else MethodType(new, f.__self__)
        return f
    if isinstance(f, functools.partial):
        new = convert(f.func)
        return f if new is f.func else functools.partial(new, *f.args, **f.keywords)
    if isinstance(f, WeakMethod):
        return f.with_function(convert(f.__func__))
    call = getattr(type(f), "__call__", None)  # noqa: B004  # the function itself is wanted
    if isinstance(call, FunctionType) and not isinstance(f, type):
        new = converted_function(call)
        return f if new is call else MethodType(new, f)
    return f


def converted_function(fn: FunctionType) -> FunctionType:
    """As `convert`, for a plain Python function."""
    code = fn.__code__
    if not ENABLED or HELPER in code.co_freevars or is_library(code.co_filename) or opted_out(fn):
        return fn
    key = (code.co_filename, code)
    try:
        new = _codes[key]
    except KeyError:
        with _lock:
            new = _codes[key] = rewritten_code(fn)
    return fn if new is None else with_code(fn, new)


def do_not_convert(func: Any = None) -> Any:
    """Marks a function that compiled functions shall call as it stands, without rewriting its control flow.

    Also as a decorator, with or without parentheses.
    """
    if func is None:
        return do_not_convert
    if not hasattr(func, "__dict__") or isinstance(func, MethodType):
        inner = func

        def func(*args: Any, **kwargs: Any) -> Any:
            return inner(*args, **kwargs)

    setattr(func, OPT_OUT, True)
    return func


def opted_out(fn: Callable[..., Any]) -> bool:
    """Whether the function is marked by `do_not_convert`."""
    return OPT_OUT in getattr(fn, "__dict__", ())


def with_code(fn: FunctionType, code: CodeType) -> FunctionType:
    """A function with other code and the rest of `fn`: globals, cells, defaults, name, attributes."""
    from . import control

    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    cells[HELPER] = CellType(control)
    new = FunctionType(code, fn.__globals__, fn.__name__, fn.__defaults__, tuple(cells[n] for n in code.co_freevars))
    new.__kwdefaults__ = fn.__kwdefaults__
    new.__annotations__ = fn.__annotations__
    new.__qualname__, new.__doc__, new.__module__ = fn.__qualname__, fn.__doc__, fn.__module__
    new.__dict__.update(fn.__dict__)
    return new


def rewritten_code(fn: FunctionType) -> CodeType | None:
    """The rewritten function's code; None where the source is not to be had or has no form that can be rewritten."""
    found = find(fn)
    if found is None or has_yield(found.node):
        return None
    try:
        tree = rewritten_tree(fn, found)
        module = compile(tree, fn.__code__.co_filename, "exec", fn.__code__.co_flags & _FUTURE, dont_inherit=True)
    except (Unsuitable, SyntaxError, RecursionError):
        return None
    factory = next(c for c in module.co_consts if isinstance(c, CodeType))
    name = "<lambda>" if isinstance(found.node, ast.Lambda) else fn.__code__.co_name
    (new,) = [c for c in factory.co_consts if isinstance(c, CodeType) and c.co_name == name]
    if set(new.co_freevars) - {HELPER} - set(fn.__code__.co_freevars):
        return None
    return renamed(new, new.co_qualname, fn.__code__.co_qualname)


def renamed(code: CodeType, old: str, new: str) -> CodeType:
    """Code whose qualified name, and those of the functions in it, begin with `new` in place of `old`."""
    consts = tuple(renamed(c, old, new) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_consts=consts, co_qualname=new + code.co_qualname.removeprefix(old))


def rewritten_tree(fn: FunctionType, found: Found) -> ast.Module:
    """A module with one function, which holds the rewritten one; its parameters are what that takes from outside."""
    emitter = Emitter(found.owner)
    node = copy.deepcopy(found.node)
    new: ast.stmt
    if isinstance(node, ast.Lambda):
        node.args.defaults, node.args.kw_defaults = _no_defaults(node.args)
        new = ast.copy_location(ast.Expr(emitter.visit(node)), node)
    else:
        node.args.defaults, node.args.kw_defaults = _no_defaults(node.args)
        node.returns = None
        for a in ast.walk(node.args):
            if isinstance(a, ast.arg):
                a.annotation = None
        new = emitter.function(node)
        new.name = fn.__code__.co_name
    outside = [n for n in fn.__code__.co_freevars if n != HELPER]
    args = ast.arguments([], [ast.arg(n) for n in (HELPER, *outside)], None, [], [], None, [])
    factory = ast.copy_location(ast.FunctionDef("ag_factory", args, [new], []), node)
    return ast.fix_missing_locations(ast.Module([factory], []))


def _no_defaults(args: ast.arguments) -> tuple[list[ast.expr], list[ast.expr | None]]:
    """Defaults that are never evaluated: the new function gets the values of the original."""
    count = len(args.defaults)
    nothing = [ast.copy_location(ast.Constant(None), d) for d in args.defaults]
    kw = [None if d is None else ast.copy_location(ast.Constant(None), d) for d in args.kw_defaults]
    return list(nothing[:count]), list(kw)
