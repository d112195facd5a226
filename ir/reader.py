"""The lower half of the parser: taking tokens, types, sizes and attribute values.

The grammar stands in `printer.py`, the form of attribute values in `literals.py`. Errors show the line with a caret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .dims import DimLike, parse_dim
from .errors import ParseError
from .lexer import Source, Token
from .literals import DTYPE_WORDS, Base64, Splat, build_array, unquote
from .types import StackType, TensorType

_T = TypeVar("_T")
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "none": None, "nan": float("nan"), "inf": float("inf")}


class Reader:
    """A place in a text, and what can be read there."""

    def __init__(self, text: str) -> None:
        self.source = Source(text)
        self.at = 0

    # ------------------------------------------------------------ tokens
    @property
    def token(self) -> Token:
        """The next token."""
        return self.source.tokens[self.at]

    def next(self) -> Token:
        """Takes the next token."""
        t = self.source.tokens[self.at]
        self.at += t.kind != "end"
        return t

    def is_(self, *texts: str) -> bool:
        """Whether the next token is one of the words or marks."""
        t = self.source.tokens[self.at]
        return t.text in texts and t.kind in ("word", "punct")

    def accept(self, text: str) -> bool:
        """Takes the next token if it is the word or mark."""
        if self.is_(text):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        """Takes the word or mark. Raises ParseError when something else stands there."""
        if not self.is_(text):
            raise self.wrong(f"'{text}'")
        return self.next()

    def kind(self, kind: str, what: str) -> Token:
        """Takes a token of the kind. Raises ParseError."""
        if self.token.kind != kind:
            raise self.wrong(what)
        return self.next()

    def wrong(self, expected: str, token: Token | None = None) -> ParseError:
        """The error for a token that should have been something else."""
        token = token or self.token
        return self.source.error(f"expected {expected}, found {token.text or 'the end of the text'}", token)

    def end(self) -> None:
        """Checks that the text is used up."""
        if self.token.kind != "end":
            raise self.wrong("the end of the text")

    def separated(self, item: Callable[[], _T], close: str) -> list[_T]:
        """Items between commas up to the closing mark, which is taken."""
        items: list[_T] = []
        while not self.accept(close):
            if items:
                self.expect(",")
            items.append(item())
        return items

    # ------------------------------------------------------------ types and literals
    def dim(self) -> DimLike:
        """A dimension: everything up to the comma or bracket that ends it, or the end of the line."""
        first, depth = self.token, 0
        while self.token.kind != "end" and self.token.line == first.line:
            if not depth and self.is_(",", "]", "}", ")"):
                break
            t = self.next()
            depth += (t.text == "(") - (t.text == ")")
        last = self.source.tokens[self.at - 1]
        try:
            return parse_dim(self.source.text[first.start : max(first.start, last.end)])
        except (ValueError, ZeroDivisionError, IndexError) as e:
            raise self.wrong("a dimension such as 3 or 2*n + 1", first) from e

    def type(self) -> TensorType:
        """A type."""
        t = self.kind("word", "a type such as f32[n, 3]")
        if t.text == "stack" and self.accept("<"):
            element = self.type()
            self.expect(">")
            return StackType(element.dtype, element.shape)
        if t.text not in DTYPE_WORDS:
            raise self.wrong("a type such as f32[n, 3]", t)
        return TensorType(DTYPE_WORDS[t.text], tuple(self.separated(self.dim, "]")) if self.accept("[") else ())

    def types(self) -> list[TensorType]:
        """One type, or several in parentheses."""
        return self.separated(self.type, ")") if self.accept("(") else [self.type()]

    def literal(self) -> Any:
        """An attribute's value."""
        t = self.token
        if t.kind == "string":
            return self.checked(self.next(), lambda: unquote(t.text))
        if self.accept("["):
            return tuple(self.separated(self.literal, "]"))
        if t.kind == "word" and self.source.tokens[self.at + 1].text not in ("+", "-", "*"):
            special = self._word(t)
            if special is not None:
                return special[0]
        return self._number()

    def _word(self, t: Token) -> tuple[Any] | None:
        """The value of a reserved word, in a tuple; None for a symbol."""
        if t.text in _CONSTANTS or t.text in DTYPE_WORDS:
            self.at += 1
            return (_CONSTANTS[t.text] if t.text in _CONSTANTS else DTYPE_WORDS[t.text],)
        if t.text not in ("array", "complex", "dim"):
            return None
        self.at += 1
        self.expect("(")
        if t.text == "dim":
            value: Any = self.dim()
        elif t.text == "complex":
            real = self.literal()
            self.expect(",")
            value = complex(real, self.literal())
        else:
            value = self.array()
        self.expect(")")
        return (value,)

    def _number(self) -> Any:
        """A number, or a symbolic size."""
        start, sign = self.at, -1 if self.accept("-") else 1
        t = self.next()
        if t.text in ("inf", "nan"):
            return sign * float(t.text)
        if t.kind == "number" and not self.is_("*", "+", "-"):
            return sign * int(t.text) if t.text.isdigit() else sign * float(t.text)
        if t.kind not in ("number", "word"):
            raise self.wrong("a value", t)
        self.at = start
        return self.dim()

    def array(self) -> np.ndarray[Any, Any]:
        """`LITERAL : type`."""
        first = self.token
        if first.kind == "word" and first.text in ("splat", "base64"):
            self.at += 1
            value: Any = Splat(self.literal()) if first.text == "splat" else self._base64()
        else:
            value = self.literal()
        self.expect(":")
        type = self.type()
        return self.checked(first, lambda: build_array(value, type))

    def _base64(self) -> Base64:
        return Base64(self.kind("string", "a string of base64 digits").text[1:-1])

    def checked(self, at: Token, make: Callable[[], _T]) -> _T:
        """What `make` gives; its ValueError becomes a ParseError at the token."""
        try:
            return make()
        except (ValueError, TypeError, OverflowError, ImportError) as e:
            raise self.source.error(str(e), at) from e
