"""Amaranth platforms made of a table of pins: for boards that amaranth-boards does not know, of all four families.

Gowin and GateMate have one of our own: Amaranth's for Gowin calls tools that are no more, and drives outputs through
buffers with an enable; for GateMate it has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from amaranth.build import Attrs, Clock, PinsN, Resource, TemplatedPlatform
from amaranth.build import Pins as Names
from amaranth.hdl import Instance, Module, Signal
from amaranth.lib import io
from amaranth.vendor import LatticeECP5Platform, SiliconBluePlatform
from amaranth_boards.resources import UARTResource

if TYPE_CHECKING:
    from .board import Board


@dataclass(frozen=True)
class Pins:
    """Where the oscillator, the serial line and the lights of a board are.

    Members
    -------
    clock, rx, tx : pins; rx is the FPGA's input.
    leds : pins of the lights, lowest bit first, with spaces between.
    leds_low : a light is on while its pin is low.
    attributes : of every pin, as the family's constraint file says them.
    clock_attributes : more of them, of the oscillator's pin.
    """

    clock: str
    rx: str
    tx: str
    leds: str = ""
    leds_low: bool = False
    attributes: dict[str, str] = field(default_factory=dict)
    clock_attributes: dict[str, str] = field(default_factory=dict)


class Buffer(io.Buffer):
    """A buffer of one pin that is always an input or always an output: one primitive of the family.

    Parameters
    ----------
    direction, port : of `io.Buffer`.
    primitives : (cell, port of the pin, port of the inside) of an input and of an output.
    """

    def __init__(self, direction: Any, port: Any, *, primitives: Mapping[str, tuple[str, str, str]]) -> None:
        self.primitives = primitives
        super().__init__(direction, port)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cell, pin, inside = self.primitives[self.direction.value]
        for number, invert in enumerate(self.port.invert):
            if self.direction is io.Direction.Input:
                read = Signal(name=f"read{number}")
                ports = {f"i_{pin}": self.port.io[number], f"o_{inside}": read}
                m.d.comb += self.i[number].eq(~read if invert else read)
            else:
                value = self.o[number]
                ports = {f"o_{pin}": self.port.io[number], f"i_{inside}": ~value if invert else value}
            m.submodules[f"pin{number}"] = Instance(cell, **ports)
        return m


class _OpenPlatform(TemplatedPlatform):
    """A family that Amaranth has no platform for: the design as RTLIL and the constraints; `flow` calls the tools."""

    toolchain = "Open"
    required_tools: tuple[str, ...] = ()
    command_templates: tuple[str, ...] = ()
    connectors: tuple[Any, ...] = ()
    primitives: Mapping[str, tuple[str, str, str]]

    def get_io_buffer(self, buffer: Any) -> Any:
        """The buffer in the family's own cells."""
        made = Buffer(buffer.direction, buffer.port, primitives=self.primitives)
        if buffer.direction is io.Direction.Input:
            made.i = buffer.i
        else:
            made.o, made.oe = buffer.o, buffer.oe
        return made


class GowinPlatform(_OpenPlatform):
    """Gowin's little bees and Arora: constraints in a .cst file."""

    primitives = MappingProxyType({"i": ("IBUF", "I", "O"), "o": ("OBUF", "O", "I")})
    file_templates = MappingProxyType(
        {
            "{{name}}.il": "{{emit_rtlil()}}",
            "{{name}}.cst": r"""
            {% for port, pin, attrs in platform.iter_port_constraints_bits() -%}
                IO_LOC "{{port}}" {{pin}};
                {% for key, value in attrs.items() -%}
                    IO_PORT "{{port}}" {{key}}={{value}};
                {% endfor %}
            {% endfor %}
        """,
        }
    )


class GateMatePlatform(_OpenPlatform):
    """Cologne Chip's GateMate: constraints in a .ccf file."""

    primitives = MappingProxyType({"i": ("CC_IBUF", "I", "Y"), "o": ("CC_OBUF", "O", "A")})
    file_templates = MappingProxyType(
        {
            "{{name}}.il": "{{emit_rtlil()}}",
            "{{name}}.ccf": r"""
            {% for port, pin, attrs in platform.iter_port_constraints_bits() -%}
                Net "{{port}}" Loc = "{{pin}}"{% for key, value in attrs.items() %} | {{key}}={{value}}{% endfor %};
            {% endfor %}
        """,
        }
    )


FAMILIES = {
    "ecp5": LatticeECP5Platform,
    "ice40": SiliconBluePlatform,
    "gowin": GowinPlatform,
    "gatemate": GateMatePlatform,
}


def platform(board: "Board", pins: Pins) -> Any:
    """A new platform for a board with these pins: resources clk, uart and led, as amaranth-boards calls them."""
    attributes = Attrs(**pins.attributes)
    clock = Resource(
        "clk", 0, Names(pins.clock, dir="i"), Clock(board.clock_mhz * 1e6),
        Attrs(**pins.attributes, **pins.clock_attributes),
    )  # fmt: skip
    kind = PinsN if pins.leds_low else Names
    leds = [Resource("led", n, kind(pin, dir="o"), attributes) for n, pin in enumerate(pins.leds.split())]
    members = {
        "device": board.device,
        "package": board.package,
        "speed": board.speed_grade,
        "default_clk": "clk",
        "resources": [clock, UARTResource(0, rx=pins.rx, tx=pins.tx, attrs=attributes), *leds],
        "connectors": [],
    }
    return type("BoardPlatform", (FAMILIES[board.family],), members)()
