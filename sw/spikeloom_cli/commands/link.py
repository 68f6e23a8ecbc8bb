"""Commands that talk to a board: infer, load, ports; and emulate, the virtual board they can talk to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, Service, named_rows, percent, working
from .options import BuildFolder, DataDir, Json, NetworkFile, Samples, Source, require_writable

if TYPE_CHECKING:
    import numpy as np
    from spikeloom.link import MemoryLoad
    from spikeloom_host import Answers, Target


Port = Annotated[
    str, typer.Option("--port", "-p", metavar="P", help="Serial port of the board, or what `emulate` printed.")
]
BoardBuild = Annotated[
    Path, typer.Option("--build", metavar="DIR", help="The build that the board holds, as `generate` wrote it.")
]
Baud = Annotated[int | None, typer.Option(metavar="N", help="Bits a second of the port.  [default: 115200]")]
Timeout = Annotated[
    float, typer.Option(metavar="S", help="Seconds without anything new from the board, after which it is an error.")
]


def infer(
    data: Source,
    port: Port,
    build: BoardBuild = Path("build"),
    network: Annotated[
        Path | None,
        typer.Option("--network", metavar="FILE", help="What was loaded since.  [default: the build's network]"),
    ] = None,
    samples: Samples = None,
    check: Annotated[bool, typer.Option(help="Compare every integer with the golden model.")] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="An .npz file for the potentials and classes."),
    ] = None,
    baud: Baud = None,
    timeout: Timeout = 1.75,
    data_dir: DataDir = None,
    json: Json = False,
) -> Answer:
    """Run the test split on a board: accuracy, images per second, and whether each integer is the golden model's.

    Lost, damaged and repeated bytes, and a board that restarts, cost time but no answer.

    \b
    Example:
      spikeloom infer --port /dev/ttyUSB0 mnist --data-dir data --samples 1000
      spikeloom infer --port /tmp/board digits --build build -o answers.npz
    """
    from spikeloom import datasets
    from spikeloom_host import BAUD, GoldenBoard, SerialBoard

    speed = _require_rates(baud, timeout) or BAUD
    if output is not None:
        require_writable(output, "an .npz file")
    target, loads = _target(build, network)
    split = datasets.load(data, "test", data_dir).head(samples)
    target.codes(split.x[:1])  # before anything is sent
    outputs = target.network.source(target.readouts[0]).shape
    if split.y is not None and outputs != (1, 1, 1):
        datasets.require_classes(split.y, outputs)
    with working(f"running {len(split)} samples at {port}") as progress:
        with SerialBoard(port, target, baud=speed, timeout_s=timeout) as board:
            identity = board.identify()
            board.require(loads)
            seconds, answers = _timed(board, split.x, progress)
            counts = board.statistics()
        mismatches = None
        if check:
            progress(what="comparing with the golden model")
            mismatches = answers.mismatches(GoldenBoard(target).infer(split.x))
    if output is not None:
        _save(output, answers)
    first = answers.classes[target.readouts[0]]
    accuracy = None if split.y is None else float((first == split.y).mean())
    build_id, lost = f"{identity.build:016x}", counts.damaged + counts.cut + counts.crowded
    document = {
        "port": port,
        "build": build_id,
        "digest": target.network.digest,
        "samples": len(split),
        "accuracy": accuracy,
        "mismatches": mismatches,
        "images_per_second": len(split) / seconds,
        "seconds": seconds,
        "clock_hz": identity.clock_hz,
        "cycles": counts.cycles,
        "events": counts.events,
        "frames_lost": lost,
        "output": None if output is None else str(output),
    }
    rows = {
        "build": build_id,
        "samples": str(len(split)),
        "accuracy": percent(accuracy),
        "mismatches": "not checked" if mismatches is None else str(mismatches),
        "images per second": f"{len(split) / seconds:,.1f}",
        "cycles of the last": f"{counts.cycles:,}, at {identity.clock_hz / 1e6:g} MHz",
        "frames lost": f"{lost}, since the board was reset",
    } | ({} if output is None else {"potentials": str(output)})
    failure = None
    if mismatches:
        failure = f"Board at '{port}': must equal the golden model, not differ in {mismatches} integers"
    return Answer(document, (named_rows(f"Network {target.network.name} on {data}, at {port}", rows),), failure)


def _require_rates(baud: int | None, timeout: float) -> int | None:
    """The rate, where it and the timeout can be."""
    from spikeloom.errors import SpikeloomError

    if baud is not None and not 1 <= baud <= 100_000_000:
        raise SpikeloomError(f"Option '--baud': must be 1..100000000, not {baud}")
    if not 0.1 <= timeout <= 3600:
        raise SpikeloomError(f"Option '--timeout': must be 0.1..3600 seconds, not {timeout:g}")
    return baud


def _target(folder: Path, network: Path | None) -> "tuple[Target, tuple[MemoryLoad, ...]]":
    """What a board must hold: a build, and what its parameter memories must be loaded with, if they can be."""
    from spikeloom.link import memory_loads
    from spikeloom.network import Network
    from spikeloom_host import Target
    from spikeloom_hw.build import Build

    found = Build.load(folder)
    built = found.network
    wanted = built if network is None else Network.load(network)
    writable = network is not None or found.manifest["contents"] == "loadable"
    return Target.of(wanted, found.manifest), memory_loads(found.manifest, built, wanted) if writable else ()


def load(
    network: NetworkFile,
    port: Port,
    build: BoardBuild = Path("build"),
    baud: Baud = None,
    timeout: Timeout = 1.75,
    json: Json = False,
) -> Answer:
    """Load the weights and thresholds of a network of the same structure into a board, and read them back.

    The build must be generated with --loadable. They stay until the board is configured again: its bitstream holds the
    build's own network.

    \b
    Example:
      spikeloom load new.loom --port /dev/ttyUSB0 --build build
      spikeloom infer --port /dev/ttyUSB0 mnist --build build --network new.loom
    """
    import time

    from spikeloom_host import BAUD, SerialBoard

    speed = _require_rates(baud, timeout) or BAUD
    target, loads = _target(build, network)
    frames, start = sum(len(item.frames) for item in loads), time.monotonic()
    board = SerialBoard(port, target, baud=speed, timeout_s=timeout)
    with working(f"loading {frames} frames at {port}") as progress, board:
        board.load(loads, lambda done: progress(done, frames))
    seconds = time.monotonic() - start
    size = sum(len(frame.data) for item in loads for frame in item.frames)
    document = {
        "port": port,
        "digest": target.network.digest,
        "memories": len(loads),
        "bytes": size,
        "seconds": seconds,
    }
    rows = {
        "digest": target.network.digest[:16],
        "memories": f"{len(loads)}, read back and right",
        "bytes": f"{size:,}",
        "seconds": f"{seconds:.1f}",
    }
    return Answer(document, (named_rows(f"Loaded {target.network.name} at {port}", rows),))


def _timed(board: Any, x: "np.ndarray", progress: Any) -> "tuple[float, Answers]":
    """Seconds, and the answers to all samples."""
    import time

    start = time.monotonic()
    answers = board.infer(x, lambda done: progress(done, len(x)))
    return time.monotonic() - start, answers


def _save(path: Path, answers: "Answers") -> None:
    """Write potentials and classes; the file appears whole or not at all."""
    import os
    import tempfile

    import numpy as np

    arrays = {f"potentials_{name}": values for name, values in answers.potentials.items()}
    arrays |= {f"classes_{name}": values for name, values in answers.classes.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".spikeloom.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy: names are any
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def ports(json: Json = False) -> Answer:
    """List the serial ports of this machine, and what is plugged in.

    \b
    Example:
      spikeloom ports
    """
    from dataclasses import asdict

    from spikeloom_host import ports as there

    found = there()
    rows = [(item.path, item.usb or "-", item.what) for item in found]
    table = (("port", "USB", "what"), *rows) if rows else (("No serial port is plugged in.",),)
    return Answer({"ports": [asdict(item) for item in found]}, (table,))


def emulate(
    build: BuildFolder = Path("build"),
    link: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A symbolic link to the port, always of the same name.")
    ] = None,
    json: Json = False,
) -> Answer:
    """Run a build as a virtual board: its Verilog under Verilator, at the end of a pseudo-terminal, until Ctrl-C.

    Compiled once (a minute or so), kept for the next time. The path of the port is printed when it can be opened.

    \b
    Example:
      spikeloom emulate build --link /tmp/board
      spikeloom infer --port /tmp/board digits --build build     (in another terminal)
    """
    from contextlib import ExitStack
    from functools import partial

    from spikeloom_hw.build import Build
    from spikeloom_sim.emulate import PseudoTerminal, VirtualBoard, compile_board, ended_by_signals, rest_cycles, serve

    loaded = Build.load(build)
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        with working(f"compiling {build}") as progress:
            library = compile_board(loaded, on_wait=lambda seconds: progress(what=f"Verilator, {seconds:.0f} s"))
        board = stack.enter_context(VirtualBoard(library, loaded))
        terminal = stack.enter_context(PseudoTerminal(link))
        work = partial(serve, board, terminal, rest_cycles(loaded))
        held = stack.pop_all()
    port = str(link or terminal.path)
    document = {"port": port, "terminal": terminal.path, "build": str(build), "digest": loaded.manifest["digest"]}
    rows = {"port": port, "terminal": terminal.path, "try": f"spikeloom infer --port {port} --build {build} DATA"}
    return Service(document, (named_rows(f"Virtual board of {build}, until Ctrl-C", rows),), work=work, held=held)
