"""Commands about the machine and the boards: boards, flash, doctor."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..output import Answer, named_rows, note, working
from .options import BuildFolder, Json

if TYPE_CHECKING:
    from spikeloom_hw.doctor.checks import Check


def boards(json: Json = False) -> Answer:
    """List the boards that `spikeloom generate --board` knows; those without a PLL run at their oscillator.

    \b
    Example:
      spikeloom boards --json
    """
    from spikeloom_hw.boards.board_list import BOARDS

    shown = (
        "name", "family", "device", "package", "speed_grade", "lut", "ram_blocks", "ram_kbit", "clock_mhz", "pll",
        "serial",
    )  # fmt: skip
    heads = (
        "board", "family", "device", "package", "grade", "LUTs", "RAM blocks", "RAM kbit", "oscillator MHz", "PLL",
        "serial line",
    )  # fmt: skip
    known = [{field: getattr(board, field) for field in (*shown, "source")} for board in BOARDS.values()]
    table = [tuple(str(board[field] or "-") for field in shown) for board in known]
    return Answer({"boards": known}, ((heads, *table),))


def flash(
    build: BuildFolder,
    persist: Annotated[
        bool,
        typer.Option("--persist", help="Write the flash memory, where it stays; else the device, until power-off."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the bitstream and say what would be done; no board is needed.")
    ] = False,
    cable: Annotated[
        str | None,
        typer.Option(metavar="C", help="Programmer, as openFPGALoader calls it.  [default: the board's own]"),
    ] = None,
    json: Json = False,
) -> Answer:
    """Write a build's bitstream to its board, once the right device has answered.

    \b
    Example:
      spikeloom flash build
    """
    from dataclasses import asdict

    from spikeloom_hw.bitstream.flash import flash as flash_build

    with working(f"flashing {build}") as progress:
        result = flash_build(
            build, persist=persist, dry_run=dry_run, cable=cable, progress=lambda text: progress(what=text)
        )
    if not result.timing_met:
        note("  warning: the bitstream is too slow for its clock; what the board answers may be wrong")
    where = "flash memory, stays" if result.persistent else "device, until power-off"
    rows = {
        "board": result.board,
        "build id": result.build,
        "bitstream": f"{result.bitstream}, {result.size_bytes:,} bytes",
        "where": where,
        "device": "-" if result.device is None else f"{result.device}, IDCODE {result.idcode}",
        "written": "yes" if result.written else "no, a dry run",
    }
    rows |= {f"command {number}": line for number, line in enumerate(result.commands, 1)}
    return Answer(asdict(result), (named_rows(f"Flashed {build}" if result.written else f"Would flash {build}", rows),))


def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="Also run the WebAssembly tools once, which compiles and caches them.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Check every tool, its version, the machine's room and rights, and say how to mend what is not right.

    \b
    Example:
      spikeloom doctor
    """
    from dataclasses import asdict

    from spikeloom_hw.doctor import tools as tools
    from spikeloom_hw.doctor.machine import machine_checks

    with working("asking the tools"):
        found, machine = tools.checks(), machine_checks()
    wrong = [check for check in (*found, *machine) if not check.found and not check.optional]
    if warm and not wrong:
        with working("compiling WebAssembly tools"):
            tools.warm(lambda text: note(f"  {text}"))
    tables = (
        (("tool", "version", "state", "how to mend"), *map(_row, found)),
        (("machine", "what there is", "state", "how to mend"), *map(_row, machine)),
    )
    failure = None
    if wrong:
        mends = "; ".join(f"{check.name}: {check.mend}" for check in wrong)
        failure = f"Machine: everything that is not optional must be right, and {len(wrong)} are not; {mends}"
    document = {
        "ok": not wrong,
        "tools": [asdict(check) for check in found],
        "machine": [asdict(check) for check in machine],
    }
    return Answer(document, tables, failure)


def _row(check: "Check") -> tuple[str, ...]:
    state = "ok" if check.found else "no, optional" if check.optional else "MISSING"
    return check.name, check.version or "-", state, check.mend
