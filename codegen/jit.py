"""From LLVM IR text to code that can be called, and back to free memory.

Text is parsed in an LLVM context of its own (types and constants of a shared one are never freed), compiled
to an object file for the host, and linked into pages that die with the `Library`: by our own loader on
x86-64 Linux, by an LLJIT engine per module elsewhere. Nothing is left behind in either: thousands of
compiled and dropped functions do not grow the process. Every LLVM call is serialised by llvmlite's own
lock, so compiling is thread-safe.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

from . import disk_cache, elf
from .host import binding, host
from .interrupt import Uninterrupted

# A light pipeline for scalar code: no vectoriser, no unrolling, nothing that changes a rounded result.
LIGHT_PASSES = ("sroa", "instruction_combine", "simplify_cfg", "new_gvn", "aggressive_dce")

# What LLVM is told to leave out. It has no switches for it but the process's: they are thrown while we generate code,
# and back. Our loops count one index and add constants to it: rewriting their addresses ("loop strength reduction")
# gains no time that we could measure, but takes up to a third of the code generator's. The search for repeated machine
# instructions takes quadratic time in programs of 10,000 scalars that share constants.
# A name that LLVM does not know ends the process.
ALWAYS, WHEN_LARGE = ("-disable-lsr",), ("-disable-machine-cse",)
LARGE = 1 << 21  # characters
KNOWN = range(20, 23)  # versions that have these switches

T = TypeVar("T")

_generating = threading.Lock()
_serial = count()


class LLVMError(RuntimeError):
    """LLVM refused what we emitted: an error in pullback, never in the user's program.

    `line` is the offending line's number in the IR text (1-based, 0 if unknown), `text` that line.
    """

    def __init__(self, message: str, line: int = 0, text: str = "") -> None:
        where = f" at line {line}: {text.strip()}" if line else ""
        super().__init__(f"internal error, invalid LLVM IR{where}\n{message}\n"
                         "This is a bug in pullback; please report it with the program that caused it.")
        self.line = line
        self.text = text


class Library:
    """Loaded machine code. It lives as long as this object: who holds an address must hold it.

    Attributes:
      llvm: the text. keep: objects that the code refers to by address. asks_python: whether the code may leave a Python
      exception behind (`python_calls`).
    """

    def __init__(self, llvm: str, lookup: elf.Resolve, owner: object, opt: int,
                 passes: tuple[str, ...]) -> None:
        self.llvm = llvm
        self.keep: list[object] = []
        self.asks_python = False
        self._lookup = lookup
        self._owner = owner
        self._opt = opt
        self._passes = passes

    def address(self, name: str) -> int:
        """Address of the function or global `name` that the module defines; KeyError if there is none."""
        found = self._lookup(name)
        if not found:
            raise KeyError(f"the compiled module defines no symbol {name!r}")
        return found

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """The function `name` as a ctypes callable that keeps this Library alive; types are ctypes types."""
        call: Any = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        call.library = self
        return call

    def asm(self) -> str:
        """The module's assembly text, made at the first question's cost each time."""
        with Uninterrupted():
            return _with_module(self.llvm, self._opt, self._passes, lambda tm, m: str(tm.emit_assembly(m)))


def compile_module(llvm_ir: str, symbols: Mapping[str, int] | None = None, *, opt: int = 2,
                   passes: Sequence[str] = ()) -> Library:
    """Compile and load a module.

    `symbols` maps declared names to addresses (asked before the process's own symbols, where libm and libc
    are found). `opt` is the code generator's level 0..3; `passes` names IR passes to run first
    (`LIGHT_PASSES`), none by default. What was compiled before, in this process or another, comes from the
    disk (`disk_cache`). Raises LLVMError for IR that does not parse or verify, or that refers to unknown
    symbols.
    """
    with Uninterrupted():
        chosen = tuple(passes)
        cache = disk_cache.current()
        key = _key(llvm_ir, opt, chosen) if cache is not None else ""
        obj = cache.get(key) if cache is not None else None
        if obj is None:
            obj = _with_module(llvm_ir, opt, chosen, lambda tm, m: bytes(tm.emit_object(m)))
            if cache is not None:
                cache.put(key, obj)
        lookup, owner = _load(obj, symbols or {})
        return Library(llvm_ir, lookup, owner, opt, chosen)


def _key(text: str, opt: int, passes: tuple[str, ...]) -> str:
    """The cache's name for what this text becomes here."""
    machine = host()
    how = f"{opt} {' '.join((*ALWAYS, *WHEN_LARGE))}", " ".join(passes)
    return disk_cache.key_of(text, *how, machine.triple, machine.cpu, machine.flags, _versions())


def _versions() -> str:
    import llvmlite

    return f"llvmlite {llvmlite.__version__}, LLVM {host().llvm}"


def emit_object(llvm_ir: str, *, opt: int = 2, passes: Sequence[str] = ()) -> bytes:
    """The module as a relocatable object file for the host (for a cache, or to leave Python)."""
    with Uninterrupted():
        return _with_module(llvm_ir, opt, tuple(passes), lambda tm, m: bytes(tm.emit_object(m)))


def load_object(obj: bytes, symbols: Mapping[str, int] | None = None, *, llvm_ir: str = "",
                loader: str | None = None) -> Library:
    """Load an object file made by `emit_object`. `loader` forces "elf" or "lljit"."""
    with Uninterrupted():
        lookup, owner = _load(obj, symbols or {}, loader)
        return Library(llvm_ir, lookup, owner, 2, ())


@lru_cache(maxsize=8)
def _target_machine(opt: int) -> tuple[Any, str, str]:
    """(target machine, triple, data layout), one for each level, kept for the life of the process."""
    llvm, machine = binding(), host()
    target = llvm.Target.from_triple(machine.triple)
    tm = target.create_target_machine(cpu=machine.cpu, features=machine.flags, opt=opt, reloc="pic",
                                      codemodel="small", jit=True)
    return tm, machine.triple, str(tm.target_data)


def _with_module(text: str, opt: int, passes: tuple[str, ...], use: Callable[[Any, Any], T]) -> T:
    """Parse, verify and transform `text`, give it to `use(target machine, module)`, free it in any case."""
    llvm = binding()
    tm, triple, layout = _target_machine(opt)
    context = llvm.create_context()
    module = None
    try:
        module = _parse(llvm, text, context)
        module.triple, module.data_layout = triple, layout
        if passes:
            _run_passes(llvm, tm, module, passes)
        with _left_out(llvm, ALWAYS + WHEN_LARGE * (len(text) > LARGE)):
            return use(tm, module)
    finally:
        if module is not None:
            module.close()
        context.close()


@contextlib.contextmanager
def _left_out(llvm: Any, switches: tuple[str, ...]) -> Iterator[None]:
    """Inside, LLVM generates code without these passes, for us alone: another user of llvmlite gets them."""
    if llvm.llvm_version_info[0] not in KNOWN:
        yield
        return
    with _generating:  # or the first of two threads would throw them back under the second
        for switch in switches:
            llvm.set_option("pullback", f"{switch}=true")
        try:
            yield
        finally:
            for switch in switches:
                llvm.set_option("pullback", f"{switch}=false")


def _parse(llvm: Any, text: str, context: Any) -> Any:
    try:
        module = llvm.parse_assembly(text, context=context)
    except RuntimeError as error:
        place = re.search(r"<string>:(\d+)", str(error))
        line = int(place.group(1)) if place else 0
        lines = text.splitlines()
        raise LLVMError(str(error), line, lines[line - 1] if 0 < line <= len(lines) else "") from None
    try:
        module.verify()
    except RuntimeError as error:
        module.close()
        raise LLVMError(str(error), *_find_line(text, str(error))) from None
    return module


def _find_line(text: str, message: str) -> tuple[int, str]:
    """The line of `text` that a verifier message quotes last, or (0, ""). LLVM prints constants its own way,
    so an instruction is known by its result and its opcode."""
    for quoted in reversed(message.splitlines()):
        key = quoted.split()[:3] if " = " in quoted else quoted.split()
        for number, line in enumerate(text.splitlines(), 1):
            if key and line.split()[:len(key)] == key:
                return number, line
    return 0, ""


def _run_passes(llvm: Any, tm: Any, module: Any, passes: tuple[str, ...]) -> None:
    manager = llvm.create_new_module_pass_manager()
    builder = llvm.create_pass_builder(tm, llvm.create_pipeline_tuning_options())
    for name in passes:
        add = getattr(manager, f"add_{name}_pass", None)
        if add is None:
            raise ValueError(f"LLVM pass {name!r} is unknown; write a name such as {', '.join(LIGHT_PASSES)}")
        add()
    manager.run(module, builder)


def _own_loader() -> bool:
    return sys.platform == "linux" and sys.maxsize > 2**32 and host().arch == "x86_64"


def _load(obj: bytes, symbols: Mapping[str, int], loader: str | None = None) -> tuple[elf.Resolve, Any]:
    """(lookup by name, owner of the memory)."""
    if loader == "elf" or (loader is None and _own_loader()):
        try:
            image = elf.load(obj, lambda name: _resolve(name, symbols))
            return image.symbols.get, image
        except elf.UndefinedSymbol as error:
            raise LLVMError(f"undefined symbol {error}") from None
        except elf.UnsupportedObject:
            if loader == "elf":
                raise
    engine = _Engine(obj, symbols)
    return engine.lookup, engine


def _resolve(name: str, symbols: Mapping[str, int]) -> int | None:
    found = symbols.get(name)
    if found is not None:
        return found
    address: int | None = of_process(name) if sys.platform == "linux" else None
    return binding().address_of_symbol(name) if address is None else address


def of_process(name: str) -> int | None:
    """A symbol of the process or of libm, found without LLVM."""
    for library in (None, "libm.so.6"):
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value
    return None


class _Engine:
    """An LLJIT engine for one object: the portable loader."""

    def __init__(self, obj: bytes, symbols: Mapping[str, int]) -> None:
        llvm = binding()
        self._jit = llvm.create_lljit_compiler(_target_machine(2)[0], suppress_errors=True)
        self._name = f"pullback{next(_serial)}"
        builder = llvm.JITLibraryBuilder().add_object_img(obj).add_current_process()
        for name, address in symbols.items():
            builder.import_symbol(name, address)
        try:
            self._tracker = builder.link(self._jit, self._name)
        except RuntimeError as error:
            raise LLVMError(str(error)) from None
        self._found: dict[str, Any] = {}

    def lookup(self, name: str) -> int | None:
        if name not in self._found:
            try:
                with Uninterrupted():
                    self._found[name] = self._jit.lookup(self._name, name)
            except RuntimeError as error:
                if "Symbols not found" in str(error) and f"{name} " in str(error):
                    return None
                raise LLVMError(str(error)) from None
        address: int = self._found[name][name]
        return address

    def __del__(self, guard: type[Uninterrupted] = Uninterrupted) -> None:
        with guard():
            self._found = {}
            self._tracker = None
            jit = getattr(self, "_jit", None)
            if jit is not None:
                jit.close()
