"""Commands on the hardware side of the integer line: generate, simulate, replace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, named_rows, note, percent, working
from .options import BuildFolder, DataDir, Json, NetworkFile, Seed, Simulator, Source, Wrapper, require_writable

if TYPE_CHECKING:
    from spikeloom.network import Network
    from spikeloom.placing.plan import LayerEstimate, Plan
    from spikeloom_sim.wave import Traced, TraceRequest

SAMPLES_UNDER_COCOTB = 20


def generate(
    network: NetworkFile,
    board: Annotated[str, typer.Option(metavar="B", help="A board of `spikeloom boards`, or none.")] = "none",
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Lanes of every core.  [default: chosen]")] = None,
    cores: Annotated[
        int | None, typer.Option(metavar="N", help="Cores that share the layers.  [default: chosen]")
    ] = None,
    wrapper: Annotated[
        Wrapper, typer.Option(help="axi adds a module for a SoC: AXI4-Stream in and out, AXI4-Lite registers.")
    ] = Wrapper.STREAMS,
    replaceable: Annotated[
        bool, typer.Option("--replaceable", help="Parameters in block RAMs, where `spikeloom replace` puts others.")
    ] = False,
    loadable: Annotated[
        bool, typer.Option("--loadable", help="The same, with a port to load them by while the board runs.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make, or a build to replace.")
    ] = Path("build"),
    json: Json = False,
) -> Answer:
    """Generate the cores of a network: Verilog, memories and a manifest; and say what they are expected to cost.

    \b
    Example:
      spikeloom generate mlp.loom --board ulx3s-85f -o build
    """
    from spikeloom.network import Network

    contents = "loadable" if loadable else "replaceable" if replaceable else "fixed"
    return generated(
        Network.load(network), output, board=board, lanes=lanes, cores=cores, wrapper=wrapper, contents=contents
    )


def generated(
    network: "Network",
    folder: Path,
    *,
    board: str,
    lanes: int | None = None,
    cores: int | None = None,
    wrapper: str = "streams",
    contents: str = "fixed",
) -> Answer:
    """The answer of generate, which the demo gives too."""
    from spikeloom.errors import DoesNotFit
    from spikeloom.placing.place import place
    from spikeloom.placing.plan import plan
    from spikeloom_hw.boards import find
    from spikeloom_hw.build import generate as generate_build
    from spikeloom_hw.fit import smallest

    capacity = None if board == "none" else find(board).capacity(network)
    with working(f"generating {folder}"):
        try:
            program = place(network, lanes=lanes, cores=cores, capacity=capacity, contents=contents)
        except DoesNotFit as error:
            where = smallest(network) if contents == "fixed" and lanes is None and cores is None else None
            raise (DoesNotFit(f"{error}; the smallest board on which it fits is {where}") if where else error) from None
        build = generate_build(
            network, folder, board=board, lanes=lanes, cores=cores, wrapper=wrapper, contents=contents, program=program
        )
    manifest, expected = build.manifest, plan(program, capacity)
    sizes = ("name", "populations", "lanes", "grid", "width", "rows", "bits", "generate_width")
    document = {
        "build": str(build.folder),
        "digest": manifest["digest"],
        "board": manifest["board"],
        "build_id": manifest["link"]["build"],
        "wrapper": manifest["wrapper"],
        "lanes": manifest["lanes_total"],
        "cores": [{size: core[size] for size in sizes} for core in manifest["cores"]],
        "plan": expected.document,
    }
    rows = {
        "build": str(build.folder),
        "digest": manifest["digest"][:16],
        "board": manifest["board"],
        "build id": manifest["link"]["build"],
        "wrapper": manifest["wrapper"]["kind"],
        "lanes": str(manifest["lanes_total"]),
        "between inferences": f"about {cycles(expected.interval)}",
        "utilisation": f"about {percent(expected.utilisation)}",
        "LUTs": _of(expected.lut, expected.lut_available),
        "RAM blocks": _of(expected.ram, expected.ram_available),
    }
    return Answer(document, (named_rows("Generated", rows), *plan_tables(expected)))


def _of(used: int, available: int | None) -> str:
    return f"about {used:,}" + ("" if available is None else f" of {available:,}")


def plan_tables(expected: "Plan") -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Tables of the layers and of the cores of a plan, as `output.table_text` takes them."""
    layers = [("layer", "core", "lanes", "spread", "SOPs", "cycles")]
    for item in expected.layers:
        spread = "x".join(map(str, item.spread))
        layers.append((item.layer, item.core, _grid(item), spread, f"{item.sops:,.0f}", f"{item.cycles:,.0f}"))
    cores = [("core", "lanes", "cycles", "LUTs", "RAM blocks")]
    for core in expected.cores:
        cores.append((core.core, str(core.lanes), f"{core.cycles:,.0f}", f"{core.lut:,}", str(core.ram)))
    return tuple(layers), tuple(cores)


def _grid(item: "LayerEstimate") -> str:
    """Lanes as cells times lanes of a cell."""
    return str(item.width) if item.grid == (1, 1) else f"{item.grid[0]}x{item.grid[1]}x{item.width}"


def simulate(
    build: BuildFolder,
    data: Source,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", help="The first N samples.  [default: 20 under cocotb or for a trace, else all]"),
    ] = None,
    simulator: Annotated[
        Simulator | None,
        typer.Option(
            help="cxxrtl is fastest, the others run under cocotb.  [default: verilator, or cxxrtl for a trace]",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    stalls: Annotated[bool, typer.Option(help="Hold both ends of the core back at random.")] = True,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Waveform to write, .fst or .vcd, and layouts for GTKWave and Surfer.",
        ),
    ] = None,
    trace_samples: Annotated[int, typer.Option(metavar="N", help="Samples in the waveform.")] = 2,
    trace_neurons: Annotated[
        int, typer.Option(metavar="N", help="Neurons of each layer with lines of their own.")
    ] = 64,
    data_dir: DataDir = None,
    json: Json = False,
) -> Answer:
    """Simulate a build on the test split and compare every spike and potential with the golden model.

    \b
    Example:
      spikeloom simulate build mnist --data-dir data --samples 20 --simulator verilator
    """
    from spikeloom import datasets
    from spikeloom_sim.wave import TraceRequest

    waveform = None
    if trace is not None:
        waveform = TraceRequest(trace, trace_samples, trace_neurons)
        for path in (trace, waveform.gtkw, waveform.surfer):
            require_writable(path, "a file to write the trace to", "--trace")
    loaded = datasets.load(data, "test", data_dir)
    chosen = simulator or (Simulator.VERILATOR if trace is None else Simulator.CXXRTL)
    if samples is None and (chosen is not Simulator.CXXRTL or trace is not None):
        samples = min(SAMPLES_UNDER_COCOTB, len(loaded))
    return simulated(build, loaded.head(samples), simulator=chosen, seed=seed, stalls=stalls, waveform=waveform)


def simulated(
    folder: Path,
    data: Any,
    *,
    simulator: str,
    seed: int = 0,
    stalls: bool = True,
    waveform: "TraceRequest | None" = None,
) -> Answer:
    """The answer of simulate, which the demo gives too; it is left in the build as well, for the report."""
    from dataclasses import asdict

    from spikeloom.errors import SpikeloomError
    from spikeloom_hw.build import Build
    from spikeloom_sim import simulate as simulate_build

    from ..report.results import keep_simulation

    with working(f"simulating {len(data)} samples on {simulator}") as progress:
        result = simulate_build(
            folder,
            data.x,
            data.y,
            simulator=simulator,
            seed=seed,
            stalls=stalls,
            waveform=waveform,
            progress=progress,
        )
    manifest = Build.load(folder).manifest
    identity = {"digest": manifest["digest"], "build": manifest["link"]["build"]}
    try:
        keep_simulation(folder, asdict(result), data.name, identity)
    except SpikeloomError as error:  # somebody else's build: the answer is right all the same
        note(f"  note: {error}; `spikeloom report` will not know of this simulation")
    rows = {
        "simulator": result.simulator,
        "samples": str(result.samples),
        "mismatches": str(result.mismatches),
        "accuracy": percent(result.accuracy),
        "latency": cycles(result.latency_cycles),
        "between inferences": cycles(result.initiation_interval_cycles),
        "lower bound": cycles(result.lower_bound_cycles),
        "utilisation": percent(result.utilisation),
        "busiest core": result.busiest or "-",
        "seconds": f"{result.seconds:.1f}",
    }
    if result.trace is not None:
        rows |= trace_rows(result.trace)
    failure = None
    if result.mismatches:
        failure = (
            f"Build '{folder}': must equal the golden model, not differ in {result.mismatches} integers; "
            f"first: {result.first_divergence}"
        )
    return Answer(asdict(result), (named_rows(f"Simulated {folder}", rows),), failure)


def trace_rows(trace: "Traced") -> dict[str, str]:
    """What a waveform holds, and how to look at it."""
    viewers = f"gtkwave {trace.file} {trace.gtkwave}", f"surfer {trace.file} --command-file {trace.surfer}"
    found = {
        "trace": f"{trace.file}, {trace.signals:,} signals, cycles {trace.first_cycle} to {trace.last_cycle}",
        "samples in it": f"{trace.samples}, from sample {trace.first_sample} on, {trace.what}",
        "look at it with": "  or  ".join(viewers),
    }
    if trace.marker_cycle is not None:
        found["divergence"] = f"cycle {trace.marker_cycle}, marked in the waveform"
    return found


def cycles(value: float | None) -> str:
    """Clock cycles as people read them."""
    return "-" if value is None else f"{value:,.0f} cycles"


def replace(
    build: BuildFolder,
    network: NetworkFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Build to make, or to replace.  [default: BUILD itself]"),
    ] = None,
    json: Json = False,
) -> Answer:
    """Put the weights and thresholds of another network of the same structure into a finished bitstream.

    The build must be generated with --replaceable or --loadable. Nothing is synthesised, placed or routed; the
    bitstream is the one that `synth` would make of the other network.

    \b
    Example:
      spikeloom replace build new.loom -o other
    """
    from dataclasses import asdict

    from spikeloom.network import Network
    from spikeloom_hw.bitstream.replacement import replace_parameters

    with working(f"replacing the parameters of {build}") as progress:
        result = replace_parameters(build, Network.load(network), output, progress=lambda text: progress(what=text))
    rows = {
        "build": result.build,
        "network": result.network,
        "digest": f"{result.digest[:16]}, before {result.before[:16]}",
        "bitstream": result.bitstream,
        "memories": f"{result.memories} with other contents",
        "seconds": f"{result.seconds:.1f}",
    }
    return Answer(asdict(result), (named_rows("Replaced", rows),))
