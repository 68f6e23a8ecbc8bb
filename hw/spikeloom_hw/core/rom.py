"""Read-only tables: what is constant or proportional to the address stays logic, the rest becomes a memory."""

from collections.abc import Mapping

import numpy as np
from amaranth.hdl import Array, Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for
from spikeloom.program.lookups import LOGIC_ENTRIES, proportional


def rom_image(rows: np.ndarray) -> list[list[int]]:
    """Rows of integers as initial contents of a memory of `row_layout` words."""
    return [[int(value) for value in row] for row in rows]


def memory_attributes(contents: str) -> dict[str, str | int]:
    """Attributes of a memory of parameters: one that may change, see `CorePlan`, must not become logic."""
    written = {"no_rw_check": 1} if contents == "loadable" else {}  # what is written meanwhile is not read
    return {} if contents == "fixed" else {"ram_style": "block", **written}


def width_of(values: np.ndarray) -> int:
    """Bits of the largest of some integers that are not negative."""
    return int(values.max()).bit_length()


def rom(
    m: Module,
    name: str,
    fields: Mapping[str, np.ndarray],
    address: Value,
    enable: Value,
    widths: Mapping[str, int] | None = None,
    depth: int = 0,
) -> dict[str, Value]:
    """Look fields up: in the cycle after `enable`, their entries at `address`; held while `enable` is low.

    Parameters
    ----------
    m : gets the memory as submodule `name`.
    fields : integers that are not negative, [entries] each.
    address, enable : what to look up, and when.
    widths : bits of every field that is read, of a table whose contents may change: then it is a block RAM, whatever
        they are.
    depth : of the memory, where it is deeper than the table.

    Returns
    -------
    The entries by field. Constant fields are constants; fields proportional to the address are computed.
    """
    found: dict[str, Value] = {}
    stored: dict[str, np.ndarray] = {}
    for key, values in fields.items():
        if widths is not None:
            if key in widths:
                stored[key] = values
            else:
                found[key] = Const(0, 1)
            continue
        width = width_of(values)
        if (values == values[0]).all():
            found[key] = Const(int(values[0]), width)
        elif proportional(values):
            found[key] = Signal(width, name=f"{name}_{key}")
            with m.If(enable):
                m.d.sync += found[key].eq(address * int(values[1]))
        else:
            stored[key] = values
    if not stored:
        return found
    entries = len(next(iter(stored.values())))
    layout = data.StructLayout(widths or {key: width_of(values) for key, values in stored.items()})
    words = [{key: int(values[n]) for key, values in stored.items()} for n in range(entries)]
    word = Signal(layout, name=f"{name}_word")
    if entries <= LOGIC_ENTRIES and widths is None:
        with m.If(enable):
            m.d.sync += word.eq(Array(layout.const(entry) for entry in words)[address])
    else:
        attributes = memory_attributes("fixed" if widths is None else "replaceable")
        m.submodules[name] = memory = Memory(shape=layout, depth=depth or entries, init=words, attrs=attributes)
        read = memory.read_port()
        m.d.comb += [read.addr.eq(address), read.en.eq(enable), word.eq(read.data)]
    return found | {key: word[key] for key in stored}


def address_bits(entries: int) -> int:
    """Bits of an address of so many entries."""
    return bits_for(entries - 1) if entries > 1 else 0
