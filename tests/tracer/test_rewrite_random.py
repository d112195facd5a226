"""Random Python programs: the rewritten function does as the original: values, exceptions and side effects."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pullback.tracer.rewrite import convert

NAMES = ("a", "b", "c", "d")


class Programs:
    """Writes random functions over small ints."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.loops = 0
        self.count = 0

    def value(self, deep: int = 0) -> str:
        r = self.r
        if deep > 2 or r.random() < 0.4:
            return r.choice([*NAMES, str(r.randint(-2, 5))])
        x, y = self.value(deep + 1), self.value(deep + 1)
        kind = r.randrange(6)
        if kind == 0:
            return f"({x} {r.choice('+-')} {y})" if r.random() < 0.7 else f"({x} * {y} % 101)"
        if kind == 1:
            return f"({x} {r.choice(('and', 'or'))} {y})"
        if kind == 2:
            return f"({x} if {self.test()} else {y})"
        if kind == 3:
            return f"note({x})"
        if kind == 4:
            return f"(not {x})"
        return f"({x} // {y})" if r.random() < 0.2 else f"helper({x}, {y})"

    def test(self) -> str:
        r = self.r
        kind = r.randrange(4)
        if kind == 0:
            return f"{self.value(2)} < {self.value(2)} <= note({self.value(2)}) < 4"
        if kind == 1:
            return f"note({self.value(2)}) > {self.value(2)} {r.choice(('and', 'or'))} not {self.value(2)}"
        return f"{self.value(1)} {r.choice(('<', '>', '==', '!='))} {self.value(1)}"

    def block(self, depth: int, loop: bool) -> list[str]:
        out: list[str] = []
        for _ in range(self.r.randint(1, 3)):
            out += self.statement(depth, loop)
        return out

    def statement(self, depth: int, loop: bool) -> list[str]:
        r = self.r
        kind = r.randrange(15) if depth < 4 else r.randrange(6)
        name = r.choice(NAMES)
        if kind < 2:
            return [f"{name} = {self.value()}"]
        if kind == 2:
            return [r.choice([f"{name} += {self.value()}", f"a, b = b, {self.value()}", f"note({self.value()})"])]
        if kind == 3:
            return self.jump(loop)
        if kind == 4:
            choices = f"del {name}", f"assert {self.test()}, note({self.value()})", f"{name} = (d := {self.value()})"
            return [r.choice(choices)]
        if kind == 5:
            return [f"note({name})"]
        body = [f"    {s}" for s in self.block(depth + 1, loop or kind in (9, 10, 11))]
        other = [f"    {s}" for s in self.block(depth + 1, loop)]
        return self.compound(kind, body, other, name)

    def jump(self, loop: bool) -> list[str]:
        r = self.r
        options = [f"return {self.value()}", "return"]
        if r.random() < 0.15:
            options = [f"raise {r.choice(('ValueError', 'KeyError'))}({self.value()})"]
        elif loop:
            options = ["break", "continue", "break", "continue", *options]
        return [r.choice(options)]

    def compound(self, kind: int, body: list[str], other: list[str], name: str) -> list[str]:
        r = self.r
        with_else = ["else:", *other] if r.random() < 0.5 else []
        if kind in (6, 7):
            middle = [f"elif {self.test()}:", *other] if r.random() < 0.3 else []
            return [f"if {self.test()}:", *body, *middle, *with_else]
        if kind == 9:
            self.count += 1
            k = f"k{self.count}"
            head = f"while {k} < {r.randint(1, 4)} and ({self.test()}):"
            return [f"{k} = 0", head, f"    {k} += 1", *body, *with_else]
        if kind in (8, 10, 11):
            items = r.choice([f"range({r.randint(0, 4)})", "[1, 2, a]", "enumerate([b, 3])", "zip((1, 2), [c, d])"])
            target = name if "range" in items or "[1" in items else "a, b"
            return [f"for {target} in {items}:", *body, *with_else] if kind != 8 else ["with guard():", *body]
        if kind == 12:
            final = ["finally:", "    note(99)"] if r.random() < 0.5 else []
            handler = ["except (ZeroDivisionError, NameError) as e:", "    note(type(e).__name__)", *other]
            return ["try:", *body, *handler, *final]
        if kind == 13:
            return ["try:", *body, "except ValueError:", "    c = 7", "else:", *other]
        inner = [f"def inner(x, y={self.value()}):", "    nonlocal c" if r.random() < 0.5 else "    pass"]
        result = f"{name} = inner({self.value()})"
        return [*inner, f"    c = x + {self.value(2)}", "    return c if x > y else y", result]

    def function(self, k: int) -> str:
        body = self.block(0, False)
        return f"def f{k}(a, b, c=3):\n    " + "\n    ".join([*body, "return a, b, c"]) + "\n"


HEADER = '''
import contextlib
LOG = []
def note(x):
    LOG.append(repr(x))
    if len(LOG) > 3000:
        raise OverflowError
    return x
def helper(x, y):
    if x > y:
        return x - y
    for i in range(3):
        if i == y:
            return i
    return x
@contextlib.contextmanager
def guard():
    try:
        yield
    except KeyError:
        note("guarded")
'''


def load(text: str, path: Path) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(module: ModuleType, f: Any, args: tuple[int, ...]) -> Any:
    module.LOG.clear()
    try:
        value = f(*args)
    except Exception as e:
        tb, lines = e.__traceback__, []
        while tb is not None:
            if tb.tb_frame.f_code.co_filename == module.__file__:
                lines.append((tb.tb_frame.f_code.co_name, tb.tb_lineno))
            tb = tb.tb_next
        return type(e), str(e), lines, list(module.LOG)
    return repr(value), list(module.LOG)


@pytest.mark.parametrize("seed", range(5))
def test_rewritten_programs_do_the_same(seed: int, tmp_path: Path) -> None:
    programs = Programs(seed)
    sources = [programs.function(k) for k in range(24)]
    good = []
    for s in sources:  # a program may be no Python at all, as `nonlocal c` after a use of c
        try:
            compile(s, "x", "exec")
            good.append(s)
        except SyntaxError:
            continue
    assert len(good) > 10
    module = load(HEADER + "\n".join(good), tmp_path / f"programs_{seed}.py")
    ran = 0
    for name in [n for n in vars(module) if n[0] == "f" and n[1:].isdigit()]:
        original = getattr(module, name)
        new = convert(original)
        assert new is not original, name
        for args in ((0, 1), (3, -1), (2, 2, 0)):
            expected, found = outcome(module, original, args), outcome(module, new, args)
            assert found == expected, f"{name}{args} in {module.__file__}"
            ran += 1
    assert ran > 30
