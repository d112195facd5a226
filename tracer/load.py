"""Loads `FILE.py:fn` for the command line."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from types import ModuleType
from typing import Any

from ..runtime.location import is_ours
from .decorate import function
from .function import Function


class CommandError(Exception):
    """Wrong input on the command line; the text is the one line that the user sees."""


def below_here(file: str) -> str:
    """A file's name without the current folder, when it is in there."""
    return file.removeprefix(os.getcwd().rstrip(os.sep) + os.sep)


def first_line(e: BaseException, with_type: bool = True) -> str:
    """An error as one line, with the line of the user's file where it happened."""
    text = next((part.strip() for part in str(e).splitlines() if part.strip()), "")
    text = re.sub(rf" \[{re.escape(os.path.basename(sys.argv[0]))}:\d+\]$", "", text)  # the command is no place to look
    frames = [
        f
        for f in traceback.extract_tb(e.__traceback__)
        if not is_ours(f.filename) and os.path.isfile(f.filename) and f.filename != sys.argv[0]
    ]
    here = f"{below_here(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    where = f" ({here})" if here and with_type and os.path.basename(here) not in text else ""
    return (f"{type(e).__name__}: {text}" if with_type else text) + where


def load_function(target: str) -> Function:
    """The function that `FILE.py:name` names (`FILE.py:Class.method` for static ones), compiled or plain.

    Raises:
      CommandError: no such file or function, or a file that cannot be run.
    """
    file, colon, name = target.rpartition(":")
    if not colon or not file or not name:
        raise CommandError(f"{target!r} does not name a function: write FILE.py:fn")
    if not os.path.isfile(file):
        raise CommandError(f"no such file: {file}")
    found: Any = _run_file(file)
    for part in name.split("."):
        if not hasattr(found, part):
            have = (
                sorted(k for k, v in vars(found).items() if callable(v) and not k.startswith("_"))
                if vars(found)
                else []
            )
            raise CommandError(f"{file} has no function '{name}'; it has {', '.join(have) or 'none'}")
        found = getattr(found, part)
    if isinstance(getattr(found, "__func__", None), Function):
        found = found.__func__
    if isinstance(found, Function):
        return found
    if not callable(found):
        raise CommandError(f"{target} is not a function but {type(found).__name__}")
    return function(found)  # type: ignore[no-any-return]


def _run_file(file: str) -> ModuleType:
    name = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(file))
    if spec is None or spec.loader is None:
        raise CommandError(f"{file} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    sys.modules.setdefault(name, module)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SyntaxError as e:
        raise CommandError(f"{e.filename}:{e.lineno}: SyntaxError: {e.msg}") from None
    except BaseException as e:
        raise CommandError(f"{file} cannot be run: {first_line(e)}") from None
    return module
