"""Module finds its variables."""

from __future__ import annotations

from typing import Any

import pytest

import pullback as pb


class Leaf(pb.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = pb.Variable(1.0, name="w")


class Tree(pb.Module):
    def __init__(self) -> None:
        super().__init__(name="tree")
        self.z = pb.Variable(0.0, trainable=False, name="z")
        self.leaves: Any = [Leaf(), {"k": Leaf()}]
        self.b = pb.Variable(2.0, name="b")
        self.again = self.leaves[0]
        self.odd = {1: "x", "y": 2}

    @pb.Module.with_name_scope
    def make(self) -> str:
        return pb.Variable(1.0, name="m").name


def test_variables() -> None:
    t = Tree()
    assert [v.name for v in t.variables] == ["b:0", "z:0", "w:0", "w:0"]
    assert [v.name for v in t.trainable_variables] == ["b:0", "w:0", "w:0"]
    assert [v.name for v in t.non_trainable_variables] == ["z:0"]
    assert len(t.submodules) == 2
    assert t.name == "tree"
    assert Leaf().name == "leaf"
    assert t.make() == "tree/m:0"
    with pytest.raises(ValueError, match="valid"):
        pb.Module(name="no name")
