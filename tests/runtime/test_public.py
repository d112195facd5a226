"""The public face: names, cheap import, errors, threads."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import pullback as pb


def test_every_name_is_there() -> None:
    missing = [n for n in pb.__all__ if n not in ("keras",) and not hasattr(pb, n)]
    assert not missing
    for name in (
        "math",
        "nn",
        "linalg",
        "random",
        "errors",
        "nest",
        "config",
        "debugging",
        "autodiff",
        "tfe",
        "bitwise",
    ):
        module = importlib.import_module(f"pullback.{name}")
        assert module is getattr(pb, name)
        assert all(hasattr(module, n) for n in module.__all__)
    with pytest.raises(AttributeError, match="bogus"):
        pb.bogus  # noqa: B018


def test_import_loads_no_compiler() -> None:
    code = (
        "import sys, pullback; print([m for m in sys.modules if m.split('.')[0] in ('llvmlite', 'scipy', 'ml_dtypes')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_error_kinds() -> None:
    e = pb.errors
    assert issubclass(e.InvalidArgumentError, e.OpError)
    assert e.InvalidArgumentError.error_code == e.INVALID_ARGUMENT
    with pytest.raises(e.InvalidArgumentError) as found:
        pb.reshape(pb.ones([2]), [3])
    assert isinstance(found.value.message, str)
    assert found.value.op is None
    assert str(e.NotFoundError(None, None, "text")) == "text"


def test_small_things() -> None:
    assert pb.executing_eagerly()
    assert not pb.inside_function()
    assert pb.no_op() is None
    with pb.name_scope("s") as scope:
        assert scope == "s/"
    assert pb.timestamp().dtype is pb.float64
    assert pb.get_static_value(pb.constant([1, 2])).tolist() == [1, 2]  # type: ignore[union-attr]
    assert pb.config.functions_run_eagerly() is False
    pb.enable_eager_execution()
    doubled = pb.map_fn(lambda x: x * 2, pb.constant([1, 2]))
    assert doubled.numpy().tolist() == [2, 4]
    assert pb.scan(lambda a, x: a + x, pb.constant([1, 2, 3])).numpy().tolist() == [1, 3, 6]
    assert int(pb.foldr(lambda a, x: a * 10 + x, pb.constant([1, 2, 3]))) == 321


def test_the_one_device() -> None:
    (cpu,) = pb.config.list_physical_devices()
    assert str(cpu) == "PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')"
    assert pb.config.list_physical_devices("CPU") == [cpu]
    assert pb.config.list_physical_devices("GPU") == pb.config.list_logical_devices("GPU") == []
    assert [d.name for d in pb.config.list_logical_devices()] == ["/device:CPU:0"]
    assert pb.config.set_visible_devices([], "GPU") is None
