"""Commands about the machine and the boards: boards, doctor."""

from typing import Annotated

import typer

from .options import Json
from .output import Answer, note, working


def boards(json: Json = False) -> Answer:
    """List the boards that `spikeloom generate --board` knows; those without a PLL run at their oscillator.

    \b
    Example:
      spikeloom boards --json
    """
    from spikeloom_hw.board_list import BOARDS

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


def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="Also run the WebAssembly tools once, which compiles and caches them.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Check that every tool is there, in which version, and say how to mend what is not.

    \b
    Example:
      spikeloom doctor
    """
    from dataclasses import asdict

    from spikeloom_hw import doctor as tools

    found = tools.checks()
    missing = [check for check in found if not check.found and not check.optional]
    if warm and not missing:
        with working("compiling WebAssembly tools"):
            tools.warm(lambda text: note(f"  {text}"))
    heads = ("tool", "version", "state", "how to mend")
    rows = [
        (
            check.name,
            check.version or "-",
            "ok" if check.found else "not there, optional" if check.optional else "MISSING",
            check.mend or "",
        )
        for check in found
    ]
    failure = None
    if missing:
        names = ", ".join(check.name for check in missing)
        failure = f"Tools: {len(missing)} must be there and are not ({names}); {'; '.join(c.mend for c in missing)}"
    return Answer({"ok": not missing, "tools": [asdict(check) for check in found]}, ((heads, *rows),), failure)
