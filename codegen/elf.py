"""A small in-memory linker: one x86-64 ELF object file into executable pages of its own.

LLVM's JIT engines either keep about 10 kB for every module ever linked (a shared LLJIT) or cost 1 ms each
(an engine per module). Our objects are small and self-contained, so linking them is little more than adding
addresses: sections are laid side by side, outside symbols get an entry in a table of addresses (and a jump
stub when called), relocations are applied, the pages are made executable. The memory is one anonymous
mapping, given back when `Image` dies.

Relocation formulas: System V ABI, AMD64 supplement, table 4.9 (S symbol, A addend, P place, G table entry).
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS = 2, 4, 8
_SHF_WRITE, _SHF_ALLOC, _SHF_TLS = 1, 2, 0x400
_SHN_UNDEF, _SHN_ABS, _SHN_COMMON = 0, 0xFFF1, 0xFFF2
_STB_LOCAL, _STB_WEAK = 0, 2

_R_64, _R_PC32, _R_PLT32, _R_GOTPCREL, _R_32, _R_32S, _R_PC64 = 1, 2, 4, 9, 10, 11, 24
_R_GOTPCRELX, _R_REX_GOTPCRELX = 41, 42
_TABLE_KINDS = (_R_GOTPCREL, _R_GOTPCRELX, _R_REX_GOTPCRELX)

_RUN_BY_LOADER = (".ctors", ".dtors", ".init_array", ".fini_array", ".preinit_array")

Resolve = Callable[[str], int | None]

_STUB = b"\xff\x25"  # jmp *[rip + disp32]
_STUB_SIZE = 8


class UnsupportedObject(Exception):
    """The object file needs something this linker does not know; the caller takes LLVM's own."""


class UndefinedSymbol(Exception):
    """The object file refers to a name that nobody defines."""


@dataclass(slots=True)
class _Section:
    kind: int
    flags: int
    data: bytes
    size: int
    align: int
    info: int
    link: int
    name: str = ""
    offset: int = -1  # where the section lies in the image; -1: not loaded


@dataclass(slots=True)
class _Symbol:
    name: str
    section: int
    value: int
    binding: int


@dataclass(slots=True)
class Image:
    """Loaded code: the mapping that owns the memory and the addresses of its global symbols."""

    memory: mmap.mmap
    symbols: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Plan:
    """Where everything goes: total sizes and the table entries and stubs of outside symbols."""

    read_only: int = 0
    total: int = 0
    table: dict[int, int] = field(default_factory=dict)
    stubs: dict[int, int] = field(default_factory=dict)


def load(obj: bytes, resolve: Resolve) -> Image:
    """Link the object file `obj`; `resolve(name)` gives the address of an outside symbol or None.

    Raises UnsupportedObject (use another linker), UndefinedSymbol, or OSError when memory is refused.
    """
    sections = _read_sections(obj)
    symbols = _read_symbols(sections)
    relocations = _read_relocations(sections)
    plan = _plan(sections, symbols, relocations)
    memory = mmap.mmap(-1, max(plan.total, 1))
    anchor = ctypes.c_char.from_buffer(memory)
    base = ctypes.addressof(anchor)
    del anchor
    addresses = [_address(symbol, sections, base, resolve) for symbol in symbols]
    image = _fill(sections, plan, addresses, base)
    _relocate(image, sections, relocations, plan, addresses, base)
    memory[: len(image)] = bytes(image)
    _make_executable(base, plan.read_only)
    names = {s.name: a for s, a in zip(symbols, addresses, strict=True)
             if s.binding != _STB_LOCAL and s.section != _SHN_UNDEF}
    return Image(memory, names)


def _read_sections(obj: bytes) -> list[_Section]:
    header = _EHDR.unpack_from(obj)
    ident, kind, machine = header[0], header[1], header[2]
    if ident[:6] != b"\x7fELF\x02\x01" or kind != 1 or machine != 62:
        raise UnsupportedObject("not a relocatable x86-64 ELF file")
    start, size, count, names_at = header[6], header[11], header[12], header[13]
    sections = []
    heads = [_SHDR.unpack_from(obj, start + size * i) for i in range(count)]
    for head in heads:
        data = b"" if head[1] == _SHT_NOBITS else obj[head[4]:head[4] + head[5]]
        sections.append(_Section(head[1], head[2], data, head[5], max(head[8], 1), head[7], head[6]))
    for section, head in zip(sections, heads, strict=True):
        section.name = _text(sections[names_at].data, head[0])
        if section.name == ".eh_frame":  # nothing unwinds through compiled code
            section.flags = 0
        if section.flags & _SHF_TLS or section.name.startswith(_RUN_BY_LOADER):
            raise UnsupportedObject(f"section {section.name} (thread-local data, constructors or destructors)")
    return sections


def _text(table: bytes, at: int) -> str:
    return table[at:table.index(b"\0", at)].decode()


def _read_symbols(sections: list[_Section]) -> list[_Symbol]:
    for section in sections:
        if section.kind == _SHT_SYMTAB:
            names = sections[section.link].data
            return [_Symbol(_text(names, name), shndx, value, info >> 4)
                    for name, info, _other, shndx, value, _size in _SYM.iter_unpack(section.data)]
    return []


def _read_relocations(sections: list[_Section]) -> list[tuple[int, int, int, int, int]]:
    """All relocations of loaded sections as (section, offset, kind, symbol, addend)."""
    found = []
    for section in sections:
        if section.kind == _SHT_RELA and sections[section.info].flags & _SHF_ALLOC:
            for offset, info, addend in _RELA.iter_unpack(section.data):
                found.append((section.info, offset, info & 0xFFFFFFFF, info >> 32, addend))
    return found


def _up(value: int, align: int) -> int:
    return -(-value // align) * align


def _plan(sections: list[_Section], symbols: list[_Symbol],
          relocations: list[tuple[int, int, int, int, int]]) -> _Plan:
    """Read-only sections first, then address table and stubs, then (on fresh pages) what is written to."""
    plan = _Plan()
    at = _place(sections, 0, writable=False)
    at = _up(at, 8)
    for _section, _offset, kind, symbol, _addend in relocations:
        outside = symbols[symbol].section == _SHN_UNDEF
        if (kind in _TABLE_KINDS or (kind == _R_PLT32 and outside)) and symbol not in plan.table:
            plan.table[symbol] = at
            at += 8
    for _section, _offset, kind, symbol, _addend in relocations:
        if kind == _R_PLT32 and symbols[symbol].section == _SHN_UNDEF and symbol not in plan.stubs:
            plan.stubs[symbol] = at
            at += _STUB_SIZE
    plan.read_only = _up(at, mmap.PAGESIZE)
    plan.total = _place(sections, plan.read_only, writable=True)
    return plan


def _place(sections: list[_Section], at: int, *, writable: bool) -> int:
    for section in sections:
        if section.flags & _SHF_ALLOC and bool(section.flags & _SHF_WRITE) == writable:
            if section.align > mmap.PAGESIZE:
                raise UnsupportedObject(f"section {section.name} wants alignment {section.align}")
            section.offset = at = _up(at, section.align)
            at += section.size
    return at


def _address(symbol: _Symbol, sections: list[_Section], base: int, resolve: Resolve) -> int:
    if symbol.section == _SHN_UNDEF:
        if not symbol.name:
            return 0
        found = resolve(symbol.name)
        if found is None and symbol.binding != _STB_WEAK:
            raise UndefinedSymbol(symbol.name)
        return found or 0
    if symbol.section == _SHN_ABS:
        return symbol.value
    if symbol.section >= len(sections):
        raise UnsupportedObject(f"symbol {symbol.name} lies in special section {symbol.section:#x}")
    offset = sections[symbol.section].offset
    return base + offset + symbol.value if offset >= 0 else 0


def _fill(sections: list[_Section], plan: _Plan, addresses: list[int], base: int) -> bytearray:
    image = bytearray(plan.total)
    for section in sections:
        if section.offset >= 0 and section.data:
            image[section.offset:section.offset + len(section.data)] = section.data
    for symbol, at in plan.table.items():
        struct.pack_into("<Q", image, at, addresses[symbol])
    for symbol, at in plan.stubs.items():
        image[at:at + 2] = _STUB
        struct.pack_into("<i", image, at + 2, plan.table[symbol] - (at + 6))
    return image


def _relocate(image: bytearray, sections: list[_Section], relocations: list[tuple[int, int, int, int, int]],
              plan: _Plan, addresses: list[int], base: int) -> None:
    for section, offset, kind, symbol, addend in relocations:
        at = sections[section].offset + offset
        target = addresses[symbol]
        if kind in _TABLE_KINDS:
            target = base + plan.table[symbol]
        elif kind == _R_PLT32 and symbol in plan.stubs:
            target = base + plan.stubs[symbol]
        if kind in (_R_PC32, _R_PLT32, *_TABLE_KINDS):
            layout, value = "<i", target + addend - (base + at)
        elif kind == _R_PC64:
            layout, value = "<q", target + addend - (base + at)
        elif kind == _R_64:
            layout, value = "<Q", (target + addend) % 2**64
        elif kind in (_R_32, _R_32S):
            layout, value = ("<I" if kind == _R_32 else "<i"), target + addend
        else:
            raise UnsupportedObject(f"relocation type {kind}")
        try:
            struct.pack_into(layout, image, at, value)
        except struct.error:
            raise UnsupportedObject(f"relocation type {kind} does not reach its target") from None


def _make_executable(base: int, size: int) -> None:
    if not size:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    protect = mmap.PROT_READ | mmap.PROT_EXEC
    if libc.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), protect) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "the system does not let compiled code become executable")
