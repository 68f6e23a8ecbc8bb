"""Wrong designs on purpose: what a bench does not catch in them, it would not catch in ours either.

All mutants are compiled into one model, and an input `mutant` selects one of them (0: none).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spikeloom import SpikeloomError
from spikeloom_hw import toolchain

from ..cache import workspace
from ..compiled import FAST, compile_library, flat_design, without_contents
from ..design import Design

SELECT_BITS = 16
# bits that nothing reads and values that do not matter would make mutants that are none
_TIDY = ("opt_expr -mux_undef -undriven", "wreduce", "opt_clean")
_HEADER = re.compile(r"^module (\\?\S+)\s*\(([^;]*)\);\n", re.MULTILINE)
_INSTANCE = re.compile(r"^(  \\?spikeloom_\S+ +\\?\S+ +\(\n)", re.MULTILINE)
_MODULE = re.compile(r"^module \\?(?P<name>\S+)\s*\(.*?^endmodule", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """A change in the generated Verilog with a name.

    Parameters
    ----------
    name : what is wrong, in words.
    module : regular expression, searched in the names of the modules to change.
    pattern : regular expression of what to replace there, wherever it is found.
    replacement : as for `re.sub`; `@` stands for a condition that holds where this mutant is selected.
    """

    name: str
    module: str
    pattern: str
    replacement: str


def mutated(verilog: str, mutant: Mutant, condition: str = "1'b1") -> str:
    """Verilog with a mutant in it, at work where a condition holds.

    Raises
    ------
    SpikeloomError
        The mutant changes nothing: the design has become another one.
    """
    replacement, changes = mutant.replacement.replace("@", condition), 0

    def change(found: re.Match[str]) -> str:
        nonlocal changes
        if not re.search(mutant.module, found["name"]):
            return found[0]
        text, count = re.subn(mutant.pattern, replacement, found[0], flags=re.MULTILINE)
        changes += count
        return text

    verilog = _MODULE.sub(change, verilog)
    if not changes:
        raise SpikeloomError(
            f"Mutant '{mutant.name}': pattern {mutant.pattern!r} must be found in a module like {mutant.module!r}; "
            "adapt it to the Verilog of today"
        )
    return verilog


def switchable(verilog: str, mutants: Sequence[Mutant]) -> str:
    """Verilog with every mutant in it, the first selected by 1 at the input `mutant` of the top module."""
    for number, mutant in enumerate(mutants, 1):
        verilog = mutated(verilog, mutant, f"(mutant == {SELECT_BITS}'d{number})")
    verilog = _HEADER.sub(rf"module \1(mutant, \2);\n  input [{SELECT_BITS - 1}:0] mutant;\n", verilog)
    return _INSTANCE.sub(r"\1    .mutant(mutant),\n", verilog)


def compile_mutants(design: Design, mutants: Sequence[Mutant], *, level: str = FAST) -> Path:
    """A library for `Model` in which `configure(k)` selects the k-th of the mutants, from 1."""
    return compile_library(design, edit=lambda verilog: switchable(verilog, mutants), level=level)


def random_mutants(design: Design, count: int, seed: int) -> list[str]:
    """Yosys passes that plant `count` random faults (a bit inverted, stuck, hanging on another) in the flat design.

    Hand them to `compile_library`; the k-th `mutate` is selected by `configure(k)`, from 1.
    """
    with workspace("jobs", "mutate") as work:
        script = [*flat_design(design), *_TIDY, f"mutate -list {count} -seed {seed} -o mutants.txt"]
        (work / "spikeloom.v").write_text(without_contents(design.verilog.read_text()))
        (work / "mutate.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", "mutate.ys"], cwd=work, log=work / "mutate.log")
        lines = (work / "mutants.txt").read_text().splitlines()
    found = [line for line in lines if line.startswith("mutate ") and "-mode none" not in line]
    chosen = (f"mutate -ctrl mutant {SELECT_BITS} {number} " for number in range(1, len(found) + 1))
    return [*_TIDY, *(line.replace("mutate ", choose, 1) for choose, line in zip(chosen, found, strict=True))]
