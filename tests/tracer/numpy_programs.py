"""Random plain NumPy programs as source text: loops, branches, writes in place, views, jumps.

A program is `def f(A, B, M, s, n)` of two vectors, a matrix, a float and a small integer; it writes into its arrays,
and gives A, B, M, s. Every choice is a call of `below(n)`, so that hypothesis can shrink it and a seed can drive it.
Only + - * / and sqrt occur in `exact` programs (each rounds once, so all ways of running them agree bit for bit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIZE, ROWS = 5, 3
Shape = tuple[int, ...]

# Slices of a vector of SIZE and of SIZE - 1 entries, by the number of entries that they give.
SLICES: dict[int, dict[int, tuple[str, ...]]] = {
    SIZE: {5: (":", "::-1"), 4: ("1:", ":-1", "-2::-1"), 3: ("1:-1", "::2", "-3:"), 2: ("1:3", "1::2"), 0: ("3:3",)},
    SIZE - 1: {4: (":", "::-1"), 3: ("1:", ":-1"), 2: ("1:-1", "::2"), 0: ("2:1",)},
    ROWS: {3: (":", "::-1"), 2: ("1:", ":-1")},
}  # fmt: skip


class Maker:
    """Writes one program.

    Attributes:
      arrays: the arrays in scope with their shapes. ints: integers in scope with their least and largest values.
      smooth: no jumps of the value (branches may still be there). exact: see the module.
    """

    def __init__(self, below: Callable[[int], int], exact: bool = True, ints: bool = True) -> None:
        self.below = below
        self.exact = exact
        self.with_ints = ints
        self.arrays: dict[str, Shape] = {"A": (SIZE,), "B": (SIZE,), "M": (ROWS, SIZE)}
        self.floats = ["s", "t"]
        self.ints: dict[str, tuple[int, int]] = {}
        self.loops = 0          # how many loops are open
        self.deep = 0           # how many blocks are open
        self.made = 0           # for fresh names

    def choice(self, *options: str) -> str:
        return options[self.below(len(options))]

    def fresh(self, stem: str) -> str:
        self.made += 1
        return f"{stem}{self.made}"

    # ------------------------------------------------------------ places
    def index(self, size: int) -> str:
        """An integer expression within the bounds of an axis."""
        fits = [name for name, (low, high) in self.ints.items() if -size <= low and high < size]
        mirrored = [f"{size - 1} - {name}" for name, (low, high) in self.ints.items() if low >= 0 and high < size]
        turned = [f"{name} % {size}" for name in self.ints]
        options = [*fits, *fits, *mirrored, *turned, str(self.below(size)), str(self.below(size) - size)]
        return self.choice(*reversed(options))

    def place(self, shape: Shape) -> str | None:
        """Something of this shape that can be read and written, or None."""
        found = [name for name, s in self.arrays.items() if s == shape]
        if shape == ():
            name = self.choice(*self.arrays)
            return f"{name}[{', '.join(self.index(n) for n in self.arrays[name])}]"
        for name, s in self.arrays.items():
            if len(shape) == 1 and len(s) == 1:
                found += [f"{name}[{part}]" for part in SLICES[s[0]].get(shape[0], ())]
            if len(shape) == 1 and len(s) == 2:
                found += [f"{name}[{self.index(ROWS)}, {part}]" for part in SLICES[SIZE].get(shape[0], ())[:2]]
                found += [f"{name}[{part}, {self.index(SIZE)}]" for part in SLICES[ROWS].get(shape[0], ())[:2]]
            if len(shape) == 2 and len(s) == 2:
                rows, columns = SLICES[ROWS].get(shape[0], ()), SLICES[SIZE].get(shape[1], ())
                found += [f"{name}[{r}, {c}]" for r in rows[:1] for c in columns[:2]]
        return self.choice(*found) if found else None

    # ------------------------------------------------------------ expressions
    def leaf(self, shape: Shape) -> str:
        constants = ["0.5", "1.25", "-0.75"]
        if shape == ():
            numbers = [f"{name} * 0.25" for name in self.ints] if self.with_ints else []
            return self.choice(*constants, *self.floats, *numbers, self.place(()) or "s")
        return self.place(shape) or self.choice("s", "0.5")

    def value(self, shape: Shape, depth: int = 0) -> str:
        """An expression of this shape, or one that broadcasts to it. Bounded, so that loops do not blow up."""
        kind = self.below(9 if self.exact else 12) if depth < 2 else 0
        x = self.leaf(shape)
        if kind < 2:
            return x
        if kind == 2:
            return f"0.5 * ({x} + {self.value(shape, depth + 1)})"
        if kind == 3:
            return f"({x} - 0.5 * {self.value(shape, depth + 1)})"
        if kind == 4:
            y = self.value(shape, depth + 1)
            return f"{x} * {y} / (1.0 + {x} * {x})"
        if kind == 5:
            y = self.place(shape) or "s"                     # of a number it would be a float64, whatever the dtype
            return f"np.sqrt({y} * {y} + 0.25)"
        if kind == 6:
            return f"({x} * 0.75 + {self.value((), depth + 1)})"
        if kind == 7:
            return f"(-{x})" if shape != () else f"({x} if {self.test()} else {self.leaf(())})"
        if kind == 8:
            return f"{x} * {self.choice('s', 't', '0.5')}"
        return self.rough(shape, x, depth, kind)

    def rough(self, shape: Shape, x: str, depth: int, kind: int) -> str:
        """Functions that need not round once: their results are close, not equal."""
        if kind == 9:
            return f"{self.choice('np.sin', 'np.tanh', 'np.cos')}({x})"
        if kind == 10:
            return f"np.exp(-{x} * {x})"
        if shape == ():
            name = self.choice(*self.arrays)
            return self.choice(f"0.25 * np.sum({name})", f"0.25 * {name}.sum()", f"np.mean({name} * {name})")
        return f"np.where({x} > {self.value((), 2)}, {x}, 0.5 * {x})"

    def test(self) -> str:
        """A condition on data, or on an integer."""
        x, y = self.leaf(()), self.leaf(())
        options = [f"{x} < {y}", f"s * t > {x}", f"{x} > 0.2 and s < 0.9"]
        if self.ints:
            options += [f"{name} {self.choice('==', '<', '>=')} {self.below(3)}" for name in self.ints]
            options += [f"{name} % 2 == 1" for name in self.ints]
        return self.choice(*options)

    # ------------------------------------------------------------ statements
    @contextmanager
    def inner(self) -> Iterator[None]:
        """A block: what is named in it is not used after it."""
        arrays, ints = dict(self.arrays), dict(self.ints)
        self.deep += 1
        yield
        self.deep -= 1
        self.arrays, self.ints = arrays, ints

    def block(self, depth: int) -> list[str]:
        with self.inner():
            lines = [line for _ in range(1 + self.below(3)) for line in self.statement(depth)]
        return [f"    {line}" for line in lines]

    def statement(self, depth: int) -> list[str]:
        kinds: list[Callable[[], list[str]]] = [self.write, self.scalar, self.write, self.whole, self.view]
        if self.loops:
            kinds.append(self.jump)
        if depth < 3:
            kinds += [lambda: self.branch(depth), lambda: self.loop(depth), lambda: self.loop(depth),
                      lambda: self.counted(depth)]  # fmt: skip
        return kinds[self.below(len(kinds))]()

    def write(self) -> list[str]:
        shape = ((), (), (3,), (4,), (2,), (5,), (2, 5), (3, 3))[self.below(8)]
        place = self.place(shape)
        if place is None or "[" not in place:
            return self.whole()
        return [f"{place} {self.choice('=', '+=', '-=', '=')} {self.value(shape)}"]

    def scalar(self) -> list[str]:
        name = self.choice(*self.floats)
        return [self.choice(f"{name} = {self.value(())}", f"{name} += 0.5 * {self.leaf(())}", "s, t = t, s - 0.25 * t")]

    def whole(self) -> list[str]:
        """A whole array: in place, or a new one, whose name is that of an old one only where every path passes."""
        name = self.choice(*self.arrays)
        shape = self.arrays[name]
        options = [f"{name} += {self.value(shape)}", f"{name} *= 0.5", f"{name}[:] = {self.value(shape)}"]
        new = name if self.deep == 0 and name in "ABM" else self.fresh("C")
        options.append(f"{new} = 0.5 * {name} + {self.value(shape)}")
        text = self.choice(*options)
        if text.startswith(f"{new} = "):
            self.arrays[new] = shape
        return [text]

    def view(self) -> list[str]:
        """Another name for an array or a part of it."""
        name = self.fresh("V")
        base = self.choice("A", "B", "M")
        if base == "M":
            which = self.below(3)
            part = (f"M[{self.index(ROWS)}]", f"M[:, {self.index(SIZE)}]", "M")[which]
            self.arrays[name] = ((SIZE,), (ROWS,), (ROWS, SIZE))[which]
        else:
            which = self.below(3)
            part = base + ("[1:]", "[::-1]", "")[which]
            self.arrays[name] = ((SIZE - 1,), (SIZE,), (SIZE,))[which]
        return [f"{name} = {part}"]

    def jump(self) -> list[str]:
        return [f"if {self.test()}:", f"    {self.choice('break', 'continue', 'return A, B, M, s')}"]

    def branch(self, depth: int) -> list[str]:
        lines = [f"if {self.test()}:", *self.block(depth + 1)]
        if self.below(2):
            lines += ["else:", *self.block(depth + 1)]
        return lines

    def loop(self, depth: int) -> list[str]:
        name = self.fresh("i")
        least, most, text = self.bounds()
        with self.inner():
            self.ints[name] = (least, most)
            self.loops += 1
            body = self.block(depth + 1)
            self.loops -= 1
        return [f"for {name} in range({text}):", *body]

    def bounds(self) -> tuple[int, int, str]:
        """(least value, largest value, text) of a range."""
        outer = [(high, name) for name, (low, high) in self.ints.items() if low >= 0]
        options = [(0, 2, "n"), (0, 3, "4"), (1, 3, "1, 4"), (0, 4, "4, -1, -1"), (0, 3, "n, -1, -2"), (0, 2, "3"),
                   (1, 3, "n, 4"), (0, 1, "2")]  # fmt: skip
        options += [(0, high, f"{name} + 1") for high, name in outer]
        options += [(0, 3, f"{name}, 4") for _, name in outer]
        return options[self.below(len(options))]

    def counted(self, depth: int) -> list[str]:
        name = self.fresh("k")
        test = f"{name} < {1 + self.below(4)}" + (f" and {self.test()}" if self.below(2) else "")
        with self.inner():
            self.ints[name] = (0, 4)
            self.loops += 1
            body = self.block(depth + 1)
            self.loops -= 1
        return [f"{name} = 0", f"while {test}:", f"    {name} += 1", *body]

    def program(self, name: str, statements: int) -> str:
        """The whole function as text."""
        lines = ["t = 0.5 * s"]
        for _ in range(statements):
            lines += self.statement(0)
        body = "\n".join(f"    {line}" for line in lines)
        return f"def {name}(A, B, M, s, n):\n{body}\n    return A, B, M, s\n"
