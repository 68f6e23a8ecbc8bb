"""Compiles a design with CXXRTL into a shared library: Yosys to C++, one call of g++, kept in a cache by content."""

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from spikeloom import ToolError
from spikeloom_hw import toolchain

from .cache import digest, made
from .design import Design

DRIVER = Path(__file__).with_name("driver.cpp")
RECORDER = Path(__file__).parent / "wave" / "record.hpp"
LIBRARY = "design.so"
FLAGS = (
    "-std=c++17", "-DNDEBUG", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-gnu-unique",
    "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables",  # nothing is thrown: an eighth less to compile
)  # fmt: skip
FAST = "-O1 -ftree-vrp"  # runs as fast as -O2; -O1 alone takes twice as long to compile as with it
# Yosys passes from a flat design to C++
TO_CXX = (
    # wires whose parts have drivers of their own would look like feedback and be evaluated twice
    "splitnets -driver w:* a:keep %d",
    "opt_clean",
    "write_cxxrtl -g2 design.cc",
)
TO_RECORD = ("write_cxxrtl -g4 design.cc",)  # keeps every name of the source, whatever it costs
# Contents are loaded when the simulation starts: as C++ initialisers they would take g++ longer than all the rest.
_READMEM = re.compile(r"^ *initial \$readmemb\(.*?\);\n", re.MULTILINE)
_COMMENT = re.compile(r"^//.*\n", re.MULTILINE)

# What Yosys' cxxrtl.h does with concatenations and slices is right but copies whole words at every step: quadratic in
# the lanes, both in g++ and at run time. These do it in one pass (128 lanes of 18 bits: 30 times faster).
_SLICE = """\
		return static_cast<const value<T::bits> &>(expr)
			.template rtrunc<T::bits - Start>()
			.template trunc<bits>();
	}
"""
_FAST_SLICE = """\
		return pick(static_cast<const value<T::bits> &>(expr));
	}

	CXXRTL_ALWAYS_INLINE
	static value<bits> pick(const value<T::bits> &whole) {
		constexpr size_t word = Start / 32, shift = Start % 32;
		value<bits> picked;
		for (size_t n = 0; n < value<bits>::chunks; n++) {
			picked.data[n] = whole.data[word + n] >> shift;
			if (shift && word + n + 1 < value<T::bits>::chunks)
				picked.data[n] |= whole.data[word + n + 1] << ((32 - shift) % 32);
		}
		picked.data[value<bits>::chunks - 1] &= 0xffffffffu >> (value<bits>::chunks * 32 - bits);
		return picked;
	}
"""
_CONCAT = """\
		value<bits> ms_shifted = static_cast<const value<T::bits> &>(ms_expr)
			.template rzext<bits>();
		value<bits> ls_extended = static_cast<const value<U::bits> &>(ls_expr)
			.template zext<bits>();
		return ms_shifted.bit_or(ls_extended);
"""
_FAST_CONCAT = """\
		value<bits> whole;
		place<0>(*this, whole.data);
		return whole;
"""
_CONCAT_CLASS = "// Expression template for a concatenation, usable"
_PLACE = """\
template<class T, class U> struct concat_expr;

template<size_t Offset, size_t Bits>
CXXRTL_ALWAYS_INLINE
void place(const value<Bits> &piece, chunk_t *whole) {
	for (size_t n = 0; n < value<Bits>::chunks; n++) {
		whole[Offset / 32 + n] |= piece.data[n] << (Offset % 32);
		if (Offset % 32 && n * 32 + 32 - Offset % 32 < Bits)
			whole[Offset / 32 + n + 1] |= piece.data[n] >> ((32 - Offset % 32) % 32);
	}
}

template<size_t Offset, class T, size_t Stop, size_t Start>
CXXRTL_ALWAYS_INLINE
void place(const slice_expr<T, Stop, Start> &piece, chunk_t *whole) {
	place<Offset>(piece.val(), whole);
}

template<size_t Offset, class T, class U>
CXXRTL_ALWAYS_INLINE
void place(const concat_expr<T, U> &piece, chunk_t *whole) {
	place<Offset + U::bits>(piece.ms_expr, whole);
	place<Offset>(piece.ls_expr, whole);
}

"""


def compile_library(
    design: Design,
    *,
    edit: Callable[[str], str] | None = None,
    passes: Sequence[str] = (),
    level: str = FAST,
    records: bool = False,
    folder: Path | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> Path:
    """Compile a design, or find it compiled; memory contents are no part of it.

    Parameters
    ----------
    design : Design
    edit : changes the Verilog first, for mutants.
    passes : Yosys passes on the flat design, for mutants.
    level : options of g++; "-O0" compiles in two thirds of the time and runs forty times slower.
    records : every signal that has a name can be recorded; several times slower, whether it is or not.
    folder : where to compile it, whether it is known or not; None: in the cache.
    on_wait : called about once a second with the seconds a tool has been running.

    Raises
    ------
    ToolError
        Yosys or g++ failed, or the cache cannot be written.
    """
    source = without_contents(design.verilog.read_text())
    source = edit(source) if edit else source
    script = [*flat_design(design), *passes, *(TO_RECORD if records else TO_CXX)]
    return compile_verilog(
        source,
        script,
        top=design.manifest["top"],
        driver=DRIVER,
        level=level,
        parts=(RECORDER,) if records else (),
        folder=folder,
        on_wait=on_wait,
    )


def compile_verilog(
    source: str,
    script: Sequence[str],
    *,
    top: str,
    driver: Path,
    level: str = FAST,
    parts: Sequence[Path] = (),
    folder: Path | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> Path:
    """Compile Verilog without memory contents behind a driver, or find it compiled; else as `compile_library`.

    Parameters
    ----------
    source : text of `spikeloom.v`.
    script : Yosys passes that read it and write `design.cc`.
    top : its top module.
    driver : C++ file that includes `design.cc`.
    parts : C++ files that it includes where RECORD is defined, which it is if there are any.
    """
    defines = ["-DRECORD"] if parts else []

    def make(work: Path) -> None:
        _fast_header(work / "cxxrtl")
        (work / "spikeloom.v").write_text(source)
        (work / "design.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", "design.ys"], cwd=work, log=work / "yosys.log", on_wait=on_wait)
        toolchain.run(
            "g++", [*defines, *_command(top, driver, work, level)], cwd=work, log=work / "g++.log", on_wait=on_wait
        )

    if folder is not None:
        folder.mkdir(parents=True)
        make(folder)
        return folder / LIBRARY
    texts = [path.read_text() for path in (driver, *parts)]
    key = digest(source, *script, *texts, *defines, _FAST_SLICE, _FAST_CONCAT, _PLACE, *FLAGS, level)
    return made("cxxrtl", key, make) / LIBRARY


def without_contents(verilog: str) -> str:
    """Verilog without memory contents, and without comments, which name the network."""
    return _COMMENT.sub("", _READMEM.sub("", verilog))


def flat_design(design: Design) -> list[str]:
    """Yosys passes from `spikeloom.v` to one flat module that keeps the probes."""
    cores = design.cores
    probes = [path for core in cores for path in (core.swap, core.filled, core.retire_valid, core.retire_remainder)]
    probes += [path for core in cores for path in (core.visit_valid, core.visited, *core.states)]
    probes += [path for core in cores if not core.filled for path in core.banks]
    probes += [path for core in cores if (s := core.spike) for path in (s.valid, s.ready, s.payload)]
    return [
        "read_verilog spikeloom.v",
        f"hierarchy -top {design.manifest['top']}",
        "proc",
        "flatten",
        f"setattr -set keep 1 {' '.join(f'w:{path}' for path in probes if path)}",
        "opt_expr",
        "opt_clean",
    ]


def _command(top: str, driver: Path, work: Path, level: str) -> list[str | Path]:
    """Arguments of g++."""
    feedback = "converged = false" in (work / "design.cc").read_text()
    defines = [f"-DTOP=p_{top.replace('_', '__')}", *(["-DFEEDBACK"] if feedback else [])]
    return [*FLAGS, *level.split(), *defines, "-I", ".", "-I", driver.parent, "-I", _runtime(), "-o", LIBRARY, driver]


def _runtime() -> Path:
    """Folder of the C++ headers that come with Yosys."""
    spec = find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise ToolError(f"Tool 'pyosys': must be installed, not missing; {toolchain.REINSTALL}")
    return Path(spec.origin).parent / "share" / "include" / "backends" / "cxxrtl" / "runtime"


def _fast_header(folder: Path) -> None:
    """Write Yosys' cxxrtl.h with the faster slices and concatenations; as it is where it reads differently."""
    folder.mkdir()
    text = (_runtime() / "cxxrtl" / "cxxrtl.h").read_text()
    if all(text.count(part) == 1 for part in (_SLICE, _CONCAT, _CONCAT_CLASS)):
        text = text.replace(_SLICE, _FAST_SLICE).replace(_CONCAT, _FAST_CONCAT)
        text = text.replace(_CONCAT_CLASS, _PLACE + _CONCAT_CLASS)
    (folder / "cxxrtl.h").write_text(text)
