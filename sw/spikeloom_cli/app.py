"""The command `spikeloom`: which subcommands there are, and how errors and answers leave it.

Exit codes: 0 success, 1 a check failed, 2 wrong use or input, 130 interrupted. An error is one line on stderr.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

import typer

from .commands import boards, builds, check, fit, link, networks, nir, report, sweep, synth, train
from .demo import command as demo
from .output import Answer, Service, reserved_stdout

CHECK_FAILED, WRONG_USE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

app = typer.Typer(
    name="spikeloom",
    help="Weaves trained PyTorch networks into FPGA fabric: convert, prove against the golden model, synthesise.",
    epilog="`spikeloom COMMAND --help` has an example for each; `spikeloom demo` does the whole way on digits.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"max_content_width": 120, "help_option_names": ["--help", "-h"]},
)
for command, summary in (
    (check.check, "what becomes of every layer of a PyTorch model, and what is not supported"),
    (train.train, "a network, for a spiking network to be made of it"),
    (train.networks, "the networks there are by name"),
    (networks.convert, "a trained PyTorch model to a spiking network, one .loom file"),
    (networks.show, "what a network consists of, with proven widths"),
    (nir.export, "a network as a .nir file, for other frameworks"),
    (networks.run, "accuracy and cost of a network, by the golden model"),
    (sweep.sweep, "accuracy, cost and energy of a model against time steps"),
    (fit.fit, "whether a network fits a board, and the smallest on which it does"),
    (builds.generate, "the core of a network: Verilog, memories, manifest"),
    (builds.simulate, "the gates against the golden model, bit by bit"),
    (synth.synth, "a bitstream, what it uses and how fast it is"),
    (report.report, "all that is known of a build, as one page"),
    (boards.flash, "a bitstream onto its board"),
    (builds.replace, "other weights and thresholds in a finished bitstream"),
    (link.load, "other weights and thresholds into a board that runs"),
    (link.infer, "a data set through a board at a serial port"),
    (link.emulate, "a build as a virtual board, for infer"),
    (boards.boards, "the boards there are"),
    (link.ports, "the serial ports there are, and what is plugged in"),
    (boards.doctor, "whether every tool is there, and how to mend it"),
    (demo.demo, "the whole way on scikit-learn's digits"),
):
    app.command(short_help=summary)(command)


def main() -> None:
    """Entry point of the console script."""
    for name in ("SIGTERM", "SIGHUP"):  # end by an exception, as Ctrl-C does, and with us what we started
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, signal.default_int_handler)
    try:
        code = respond(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE  # whoever read our output has enough
    except OSError:
        code = WRONG_USE  # stdout is full, which `respond` has said
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code in (BROKEN_PIPE, WRONG_USE):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what could not be written is not tried again at exit
    if code == INTERRUPTED:
        print("spikeloom: interrupted", file=sys.stderr, flush=True)
        # an interrupt within an `exec`, as in an import, would make Python end by the signal whatever code it is given
        os._exit(INTERRUPTED)
    sys.exit(code)


def respond(arguments: Sequence[str]) -> int:
    """Run one command line; its answer goes to stdout, an error as one line to stderr; returns the exit code."""
    as_json = "--json" in arguments
    with reserved_stdout(as_json) as stdout:
        try:
            result = typer.main.get_command(app).main(list(arguments), prog_name="spikeloom", standalone_mode=False)
            if not isinstance(result, Answer):
                return int(result or 0)
            _tell(result, stdout, as_json)
        except typer.TyperException as error:
            return _refuse(_usage(error), stdout if as_json else None)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"File '{error.filename}'" if error.filename else "Output"
            why = f"{where}: {error.strerror or error}; check the path, its rights and the room on the disk"
            return _refuse(why, stdout if as_json else None)
        except _spikeloom_error() as error:
            return _refuse(str(error), stdout if as_json else None)
        if result.failure:
            print(f"spikeloom: {_one_line(result.failure)}", file=sys.stderr)
            return CHECK_FAILED
        return 0


def _tell(answer: Answer, stdout: TextIO, as_json: bool) -> None:
    """Print an answer, and do the work that it announces."""
    if not isinstance(answer, Service):
        print(answer.text(as_json=as_json), file=stdout, flush=True)
        return
    with answer.held, suppress(KeyboardInterrupt):
        print(answer.text(as_json=as_json), file=stdout, flush=True)
        answer.work()


def _spikeloom_error() -> type[Exception]:
    """Asked for only when something was raised: NumPy stays out of `spikeloom --help`."""
    from spikeloom.errors import SpikeloomError

    return SpikeloomError


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "spikeloom"
    message = error.format_message().replace("Value error, ", "")
    if message.startswith("Usage:"):  # the command alone: its help is the answer
        return message
    name = path.removeprefix("spikeloom").strip()
    who = f"Command '{name}': " if name else ""
    return f"{who}{message.rstrip('.')}; see `{path} --help`"


def _refuse(message: str, stdout: TextIO | None) -> int:
    if message.startswith("Usage:"):
        print(message, file=sys.stderr)
    else:
        print(f"spikeloom: {_one_line(message)}", file=sys.stderr)
    if stdout is not None:
        print(Answer({"error": _one_line(message)}).text(as_json=True), file=stdout, flush=True)
    return WRONG_USE


def _one_line(message: str) -> str:
    return " ".join(message.split())
