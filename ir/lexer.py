"""Cuts IR text into tokens and makes the error that points at one of them.

A comment of the form `# file:line` is a location: the line it stands on remembers it, so that printed locations are
read back. Any other comment is skipped. Line ends matter in one place only (an op's operands start on the op's own
line), so tokens carry their line number and no token stands for a line end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import ParseError
from .graph import Loc

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f]+)
      | (?P<newline>\n)
      | (?P<comment>\#[^\n]*)
      | (?P<value>%\w+(?:\.\w+)*)
      | (?P<func>@(?:[\w.$]+|"(?:[^"\\\n]|\\.)*"))
      | (?P<string>b?"(?:[^"\\\n]|\\.)*")
      | (?P<number>(?:\d+(?:\.\d+|\.(?!\.))?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d][\w?]*|\?[\w?]*)
      | (?P<punct>->|\.\.|[{}()\[\]<>,=:*+\-])
    """,
    re.VERBOSE,
)
_LOC = re.compile(r"#\s*(\S.*?):(\d+)\s*$")


class Token(NamedTuple):
    """One token: its kind (`value func string number word punct end`), text, offset in the source and line number."""

    kind: str
    text: str
    start: int
    line: int

    @property
    def end(self) -> int:
        """The offset behind the token."""
        return self.start + len(self.text)


class Source:
    """A text with its tokens (the last one is of kind `end`) and the locations its comments give, by line number."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []
        self.locs: dict[int, Loc] = {}
        at, line = 0, 1
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                raise self.error(f"unexpected character {text[at]!r}", Token("bad", text[at], at, line))
            kind = m.lastgroup or ""
            if kind == "newline":
                line += 1
            elif kind == "comment":
                loc = _LOC.match(m[0])
                if loc:
                    self.locs[line] = Loc(loc[1], int(loc[2]))
            elif kind != "space":
                self.tokens.append(Token(kind, m[0], at, line))
            at = m.end()
        self.tokens.append(Token("end", "", len(text), line))

    def error(self, message: str, token: Token) -> ParseError:
        """The error to raise: line and column, the line itself, a caret under the token, then the message."""
        first = self.text.rfind("\n", 0, token.start) + 1
        last = self.text.find("\n", token.start)
        source_line = self.text[first:] if last < 0 else self.text[first:last]
        column = token.start - first
        marks = "^" * max(1, min(len(token.text), len(source_line) - column))
        pad = "".join("\t" if c == "\t" else " " for c in source_line[:column])
        return ParseError(f"line {token.line}, column {column + 1}: {message}\n  {source_line}\n  {pad}{marks}")
