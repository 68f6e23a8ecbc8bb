"""A `yosys` command line on the native Yosys of the pyosys wheel: `python -m spikeloom_hw.yosys [options] script.ys`.

The wheel has a library but no command. This one understands what Amaranth's build scripts and ours say: scripts
(`.ys`), designs (`.il`, `.v`), `-p COMMANDS`, `-l LOG`, `-q`, `-V`. It is always run as a process of its own (it is the
`yosys` that `toolchain.environment` puts on PATH), because an error in Yosys ends the process it happens in.
"""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

READERS = {".ys": "script", ".il": "read_rtlil", ".v": "read_verilog", ".sv": "read_verilog -sv"}


def passes(files: Sequence[str], commands: Sequence[str]) -> list[str]:
    """Yosys passes that read `files` in order, then run `commands` (each may hold several, separated by `;`).

    Raises
    ------
    SystemExit
        A file has a suffix that none of `READERS` knows.
    """
    steps = []
    for name in files:
        suffix = os.path.splitext(name)[1]
        if suffix not in READERS:
            raise SystemExit(f"ERROR: yosys: file '{name}': must end in {', '.join(READERS)}, not '{suffix}'")
        steps.append(f"{READERS[suffix]} {name}")
    return steps + [part.strip() for command in commands for part in command.split(";") if part.strip()]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with 0 on success and 1 on an error of Yosys."""
    parser = argparse.ArgumentParser(prog="yosys", description="Yosys of the pyosys wheel", allow_abbrev=False)
    parser.add_argument("-V", "--version", action="store_true", help="say the version and end")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log on standard output")
    parser.add_argument("-Q", "-T", action="store_true", dest="_", help="accepted and ignored: no banner here")
    parser.add_argument("-l", "-L", "--log", metavar="FILE", help="write the log to FILE too")
    parser.add_argument("-s", "--script", action="append", default=[], metavar="FILE", help="run FILE as a script")
    parser.add_argument("-p", "--commands", action="append", default=[], metavar="COMMANDS", help="run COMMANDS")
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"one of {', '.join(READERS)}")
    args = parser.parse_args(argv)
    if args.version:
        print(f"Yosys {importlib.metadata.version('pyosys')} (pyosys)")
        return
    steps = passes(args.files, [f"script {name}" for name in args.script] + args.commands)

    from pyosys import libyosys  # after the arguments: loading the library takes 0.3 s

    if args.quiet:  # errors still reach standard error
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    design = libyosys.Design()
    for index, step in enumerate(steps):
        tee = f"tee -{'a' if index else 'o'} {args.log} " if args.log else ""
        libyosys.run_pass(tee + step, design)
    libyosys.log_flush()
    sys.stdout.flush()
    os._exit(0)  # a design of a million cells takes seconds to free


if __name__ == "__main__":
    main()
