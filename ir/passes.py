"""The passes by name, and pipelines of them as text: what `pullback opt` runs.

A pipeline is names between commas, with options in braces: `canon,cse,dce,specialise{n=4},reverse{wrt=[0]}`. Option
values are written like attribute values in IR text. In a text of several functions the local passes run on each; the
others run on the entries, that is, on the functions that no other one calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .control import CALL
from .cse import cse
from .dce import dce
from .errors import ParseError
from .expand import expand
from .forward import forward
from .graph import Function
from .inline import inline
from .licm import licm
from .loop_merge import count_up, merge_loops
from .narrow import narrow
from .pad import pad
from .parser import parse_module
from .printer import print_function, print_module
from .reader import Reader
from .reverse import reverse
from .segments import segments
from .simplify import canon
from .sink_transposes import sink_transposes
from .specialise import specialise
from .unstack import unstack
from .vectorise import vectorise
from .verifier import verify

Run = Callable[..., Function]


@dataclass(frozen=True, slots=True)
class Pass:
    """A named pass. `local`: it changes one function and does not look at its callees. `free`: any option is taken."""

    name: str
    run: Run
    summary: str
    local: bool = False
    free: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The names of the options and their defaults."""
        return {p.name: p.default for p in list(inspect.signature(self.run).parameters.values())[1:]}


def _specialise(fn: Function, **sizes: int) -> Function:
    return specialise(fn, sizes)


def _strip(fn: Function) -> Function:
    new = dce(fn)
    for op in new.body.walk():
        op.loc = None
    return new


PASSES: dict[str, Pass] = {
    p.name: p
    for p in (
        Pass("canon", canon, "fold constants, do algebra, drop needless moves", local=True),
        Pass("cse", cse, "compute equal things once", local=True),
        Pass("dce", dce, "drop what nobody uses", local=True),
        Pass("licm", licm, "move what loops do not change before them", local=True),
        Pass("count_up", count_up, "let loops with known bounds count 0, 1, 2, ...", local=True),
        Pass("merge_loops", merge_loops, "compute a loop once that a later one repeats", local=True),
        Pass("unstack", unstack, "make arrays of stacks whose depth is known", local=True),
        Pass("narrow", narrow, "fold comparisons that the ranges of indices decide", local=True),
        Pass("vectorise", vectorise, "write loops over elements as work on arrays", local=True),
        Pass("segments", segments, "write sums into overlapping slots in one pass", local=True),
        Pass("sink_transposes", sink_transposes, "do elementwise work in the order that lies in memory", local=True),
        Pass("expand", expand, "write composite ops as simpler ones", local=True),
        Pass("strip", _strip, "forget the lines of the user's program", local=True),
        Pass("verify", verify, "check the rules of the IR"),
        Pass("inline", inline, "replace calls by bodies (limit: the most ops a body may have)"),
        Pass("pad", pad, "give fixed sizes to values whose size only the run knows"),
        Pass("specialise", _specialise, "give sizes numbers (n=4)", free=True),
        Pass("reverse", reverse, "differentiate in reverse mode (wrt, outputs, keep_primal)"),
        Pass("forward", forward, "differentiate in forward mode (wrt)"),
    )
}


@dataclass(slots=True)
class Step:
    """A pass with the options of one use."""

    which: Pass
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, fn: Function) -> Function:
        """The pass on a function."""
        return self.which.run(fn, **self.options)

    def __str__(self) -> str:
        inside = ", ".join(f"{k} = {v}" for k, v in self.options.items())
        return self.which.name + (f"{{{inside}}}" if inside else "")


class _PipelineReader(Reader):
    def steps(self) -> list[Step]:
        found: list[Step] = []
        while self.token.kind != "end":
            if found:
                self.expect(",")
            found.append(self._step())
        return found

    def _step(self) -> Step:
        t = self.kind("word", "a pass")
        which = PASSES.get(t.text)
        if which is None:
            raise self.source.error(f"there is no pass '{t.text}'; passes are {', '.join(PASSES)}", t)
        step = Step(which)
        if self.accept("{"):
            self.separated(lambda: self._option(step), "}")
        return step

    def _option(self, step: Step) -> None:
        t = self.kind("word", "an option's name")
        if not step.which.free and t.text not in step.which.options:
            known = ", ".join(step.which.options) or "none"
            raise self.source.error(f"'{step.which.name}' has no option '{t.text}'; its options: {known}", t)
        self.expect("=")
        step.options[t.text] = self.literal()


def parse_pipeline(text: str) -> list[Step]:
    """The steps of a pipeline such as `canon,cse,specialise{n=4}`. Raises ParseError."""
    return _PipelineReader(text).steps()


class PassManager:
    """Runs a pipeline.

    Attributes:
      steps: the passes. verify: check the function before the first and after each. changed: called with the step and
        the new function after each step that changed the text.
    """

    def __init__(
        self,
        pipeline: str | Sequence[Step],
        verify: bool = False,
        changed: Callable[[Step, Function], None] | None = None,
    ) -> None:
        self.steps = parse_pipeline(pipeline) if isinstance(pipeline, str) else list(pipeline)
        self.verify = verify
        self.changed = changed

    def run(self, fn: Function) -> Function:
        """The function after all steps. Raises VerifyError when checks are on and a step breaks the IR."""
        if self.verify:
            verify(fn)
        for step in self.steps:
            fn = self._step(step, fn)
        return fn

    def _step(self, step: Step, fn: Function) -> Function:
        before = print_function(fn) if self.changed else ""
        new = step(fn)
        if self.verify:
            try:
                verify(new)
            except Exception as e:
                e.add_note(f"after the pass {step}")
                raise
        if self.changed and print_function(new) != before:
            self.changed(step, new)
        return new

    def run_module(self, fns: Sequence[Function]) -> list[Function]:
        """All entries of a module after all steps; their callees hang on them."""
        fns = list(fns)
        for step in self.steps:
            fns = self._on_each(step, fns) if step.which.local else [self._step(step, f) for f in entries(fns)]
        return entries(fns)

    def _on_each(self, step: Step, fns: list[Function]) -> list[Function]:
        every: dict[int, Function] = {id(f): f for fn in fns for f in (fn, *fn.callees())}
        new = {key: self._step(step, f) for key, f in every.items()}
        for f in new.values():
            for op in f.body.walk():
                if op.kind is CALL:
                    op.attrs["callee"] = new.get(id(op.attrs["callee"]), op.attrs["callee"])
        return [new[id(f)] for f in fns]


def entries(fns: Sequence[Function]) -> list[Function]:
    """The functions that no other one of the list calls; all of them when each is called by one."""
    called = {id(g) for f in fns for g in f.callees() if g is not f}
    return [f for f in fns if id(f) not in called] or list(fns)


def run_pipeline(
    text: str, pipeline: str, verify_each: bool = True, changed: Callable[[Step, Function], None] | None = None
) -> str:
    """IR text through a pipeline, as text: what `pullback opt` prints.

    Args:
      verify_each: whether to check the IR first and after every pass. changed: see `PassManager`.

    Raises:
      ParseError: for a text or a pipeline that cannot be read; the text points at the place.
      VerifyError: for IR that breaks its rules. ValueError: for an option's value that the pass cannot take.
    """
    manager = PassManager(pipeline, verify_each, changed)
    fns = parse_module(text)
    if verify_each:
        for fn in fns:
            verify(fn, callees=False)
    try:
        return print_module(manager.run_module(fns))
    except (TypeError, IndexError) as e:
        raise ValueError(str(e)) from e


__all__ = ["PASSES", "ParseError", "Pass", "PassManager", "Step", "entries", "parse_pipeline", "run_pipeline"]
