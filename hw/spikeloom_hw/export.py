"""From Amaranth to plain Verilog: one readable file, memory contents beside it."""

import re
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from . import toolchain

TOP = "spikeloom"
_MODULE = re.compile(r"^(?P<kind>module|  cell) \\(?P<path>\w+\.\S+)", re.MULTILINE)
# modules with memories that are written before they are read
_WRITABLE = ("fifo", "bank0", "bank1", "receiver", "sender_encoder", "results")
_VERILOG_MODULE = re.compile(r"^module \\?(\S+?)\s*\(", re.MULTILINE)
# All but one attribute have served their end; `keep` would even cost LUTs in synthesis.
_ATTRIBUTE = re.compile(r"(?:^ *)?\(\* (?!no_rw_check|ram_style)[^*]*\*\)\s?", re.MULTILINE)
_READMEM = re.compile(r'\$readmemb\("(?P<file>[^"]+)", (?P<memory>\w+|\\\S+ )\)')


def verilog(component: wiring.Component, header: str, *, top: str = TOP) -> tuple[str, dict[str, str]]:
    """Convert a component to Verilog.

    Verilog-2001 without `always @*`: every simulator starts it alike. Memories with contents are read by $readmemb
    from files named after their place in the hierarchy; the others have no contents, so that reading before writing
    shows as X in a four-state simulator.

    Parameters
    ----------
    component : the top.
    header : comment lines for the top of the file.
    top : name of its module, with which the names of all others begin.

    Returns
    -------
    text of the Verilog file, and contents of the memory files by name.

    Raises
    ------
    ToolError
        Yosys failed.
    """
    # Amaranth calls modules by their path with dots, which Verilog would have to escape
    text = _MODULE.sub(
        lambda match: f"{match['kind']} \\{match['path'].replace('.', '_')}",
        rtlil.convert(component, name=top, emit_src=False),
    )
    script = [
        "read_rtlil design.il",
        *(f"delete {top}_*_{name}/t:$meminit*" for name in _WRITABLE),
        "rename -hide w:*[[]*",  # Amaranth's second names for elements of arrays, which confuse abc9
        "proc -norom",  # the walker's tables stay logic, see decision record 0004
        "opt_expr",
        "opt_clean",
        "opt_dff",
        "opt_clean",
        "write_verilog -extmem design.v",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text(text)
        (folder / "export.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", "export.ys"], cwd=folder, log=folder / "yosys.log")
        code = (folder / "design.v").read_text()
        return _name_memories(code, header, folder, top)


def _name_memories(code: str, header: str, folder: Path, top: str) -> tuple[str, dict[str, str]]:
    """Call each memory file by its place, e.g. `l1_conv1_lanes_weights.mem`, and take its contents."""
    contents: dict[str, str] = {}
    starts = [(match.start(), match[1]) for match in _VERILOG_MODULE.finditer(code)]

    def renamed(match: re.Match[str]) -> str:
        module = next(name for start, name in reversed(starts) if start < match.start())
        name = re.sub(r"[^\w.]", "", f"{module.removeprefix(top + '_')}_{match['memory']}.mem")
        contents[name] = (folder / match["file"]).read_text()
        return f'$readmemb("{name}", {match["memory"]})'

    body = _ATTRIBUTE.sub("", _READMEM.sub(renamed, code)).split("\n", 1)[1]  # the first line names Yosys' build
    return "".join(f"// {line}\n" for line in header.splitlines()) + body, contents
