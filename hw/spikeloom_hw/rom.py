"""Read-only tables: what is constant or proportional to the address stays logic, the rest becomes a memory."""

from collections.abc import Mapping

import numpy as np
from amaranth.hdl import Array, Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for
from spikeloom.lookups import LOGIC_ENTRIES


def rom_image(rows: np.ndarray) -> list[list[int]]:
    """Rows of integers as initial contents of a memory of `row_layout` words."""
    return [[int(value) for value in row] for row in rows]


def width_of(values: np.ndarray) -> int:
    """Bits of the largest of some integers that are not negative."""
    return int(values.max()).bit_length()


def rom(m: Module, name: str, fields: Mapping[str, np.ndarray], address: Value, enable: Value) -> dict[str, Value]:
    """Look fields up: in the cycle after `enable`, their entries at `address`; held while `enable` is low.

    Parameters
    ----------
    m : gets the memory as submodule `name`.
    fields : integers that are not negative, [entries] each.
    address, enable : what to look up, and when.

    Returns
    -------
    The entries by field. Constant fields are constants; fields proportional to the address are computed.
    """
    found: dict[str, Value] = {}
    stored: dict[str, np.ndarray] = {}
    for key, values in fields.items():
        width = width_of(values)
        if (values == values[0]).all():
            found[key] = Const(int(values[0]), width)
        elif (values == values[1] * np.arange(len(values))).all():
            found[key] = Signal(width, name=f"{name}_{key}")
            with m.If(enable):
                m.d.sync += found[key].eq(address * int(values[1]))
        else:
            stored[key] = values
    if not stored:
        return found
    entries = len(next(iter(stored.values())))
    layout = data.StructLayout({key: width_of(values) for key, values in stored.items()})
    words = [{key: int(values[n]) for key, values in stored.items()} for n in range(entries)]
    word = Signal(layout, name=f"{name}_word")
    if entries <= LOGIC_ENTRIES:
        with m.If(enable):
            m.d.sync += word.eq(Array(layout.const(entry) for entry in words)[address])
    else:
        m.submodules[name] = memory = Memory(shape=layout, depth=entries, init=words)
        read = memory.read_port()
        m.d.comb += [read.addr.eq(address), read.en.eq(enable), word.eq(read.data)]
    return found | {key: word[key] for key in stored}


def address_bits(entries: int) -> int:
    """Bits of an address of so many entries."""
    return bits_for(entries - 1) if entries > 1 else 0
