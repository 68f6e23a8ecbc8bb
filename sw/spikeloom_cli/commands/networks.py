"""Commands on the software side of the integer line: convert, show, run. All heavy imports wait for their command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, named_rows, note, percent, working
from . import nir
from .options import (
    DataDir,
    Json,
    NetworkFile,
    Samples,
    Seed,
    Source,
    by_population,
    method_options,
    numbers,
    require_writable,
    trained_model,
)

if TYPE_CHECKING:
    from spikeloom.network import Network


def convert(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="package.module:factory, called without arguments; a file of `spikeloom train`; a .nir file.",
        ),
    ],
    calibration: Annotated[
        str,
        typer.Option(metavar="DATA", help="As DATA of `spikeloom run`: its training split."),
    ],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict: .safetensors, or .pt without code in it.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="M",
            help="spikeconverter; synchronous: optimal-conversion, strelu, steprelu, qcfs, noisy-quantized.",
        ),
    ] = "spikeconverter",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the method, like shift=false; may be repeated."),
    ] = None,
    timesteps: Annotated[
        int | None,
        typer.Option(
            metavar="T",
            help="Time steps of every train, 1..16 (synchronous, NIR: 1..256).  [default: 4; recurrent: the samples']",
        ),
    ] = None,
    weight_bits: Annotated[int | None, typer.Option(metavar="B", help="Bits of a weight, 2..8.  [default: 6]")] = None,
    input_timesteps: Annotated[
        int | None,
        typer.Option(metavar="T", help="Bits of a pixel; 8 keep it whole.  [default: as --timesteps; NIR: 8]"),
    ] = None,
    layer_timesteps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=T", help="Time steps of one population, or of all like 'layer1_*'; may be repeated."
        ),
    ] = None,
    layer_neurons: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="Neurons for each activation of one population, or of all like 'layer1_*', 1..8: N times the levels "
            "in as many time steps, for N times the weights into and out of them; may be repeated.",
        ),
    ] = None,
    growth: Annotated[float, typer.Option(metavar="K", help="Growth of potentials: 2 (iLIF) or 1 (IF).")] = 2.0,
    code: Annotated[
        str, typer.Option(metavar="C", help="Code of all trains: plain, or naf (minimal weight, fewer events).")
    ] = "plain",
    mean: Annotated[
        str | None,
        typer.Option(metavar="A[,B,..]", help="Mean per channel, if the model does not subtract it."),
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="A[,B,..]", help="Deviation per channel, likewise.")] = None,
    dt: nir.Dt = None,
    reset: nir.Reset = None,
    v_min: nir.VMin = "none",
    round_leak: nir.RoundLeak = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    samples: Samples = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .loom file to write.")] = Path(
        "net.loom"
    ),
    json: Json = False,
) -> Answer:
    """Convert a trained PyTorch model, or a spiking network as NIR, to a quantised spiking network, one .loom file.

    \b
    Example:
      spikeloom convert spikeloom_convert.models:mnist_mlp --weights mlp.safetensors \\
        --calibration mnist --data-dir data --timesteps 4 --weight-bits 6 -o mlp.loom
      spikeloom convert net.nir --calibration digits --timesteps 16 --reset soft -o net.loom
    """
    from spikeloom import datasets

    options = nir.nir_options(model, dt, reset, v_min, round_leak)
    for_modules: dict[str, object] = {
        "weights": weights,
        "layer-timesteps": layer_timesteps,
        "layer-neurons": layer_neurons,
    }
    for_modules |= {"growth": growth != 2.0, "option": option}
    nir.require_for_modules(model, for_modules | {"method": method != "spikeconverter", "code": code != "plain"})
    own_timesteps = by_population("--layer-timesteps", "NAME=T, like layer1_*=6", layer_timesteps or [])
    own_neurons = by_population("--layer-neurons", "NAME=N, like layer1_*=2", layer_neurons or [])
    method_given = method_options(option or [])
    means, deviations = numbers("--mean", mean), numbers("--std", std)
    require_writable(output, "a .loom file")
    data = datasets.load(calibration, "train", data_dir).head(samples)
    if nir.is_nir(model):
        sizes = {"timesteps": timesteps, "weight_bits": weight_bits, "input_timesteps": input_timesteps}
        network = nir.converted(model, data, **sizes, **options, mean=means, std=deviations, seed=seed)
        network.save(output)
        return converted(network, output)
    from spikeloom_convert import convert as convert_model

    trained = trained_model(model, weights)
    with working(f"converting on {len(data)} samples") as progress:
        network = convert_model(
            trained,
            data.x,
            method=method,
            timesteps=timesteps,
            weight_bits=6 if weight_bits is None else weight_bits,
            input_timesteps=input_timesteps,
            layer_timesteps=own_timesteps,
            layer_neurons=own_neurons,
            labels=data.y,
            growth=growth,
            code=code,
            options=method_given,
            mean=means,
            std=deviations,
            seed=seed,
            name=network_name(model),
            progress=progress,
        )
    network.save(output)
    return converted(network, output)


def network_name(model: str) -> str:
    """Name of the network of a model package.module:factory: the factory's, as far as a network may be called so."""
    from spikeloom.validate import NAME

    name = model.rpartition(":")[2].lower().lstrip("_")
    return name if NAME.fullmatch(name) else "net"


def converted(network: "Network", path: Path) -> Answer:
    """The answer of convert, which the demo gives too."""
    provenance = network.provenance
    for text in provenance.notes:
        note(f"  note: {text}")
    accuracy = {name: provenance.accuracy.get(name) for name in ("ann", "snn")}
    document = {
        "network": str(path),
        "digest": network.digest,
        "method": provenance.method,
        "timesteps": timesteps_of(network),
        "weight_bits": max(item.weight_bits for item in network.connections),
        "input_timesteps": network.inputs[0].timesteps,
        "accuracy_ann": accuracy["ann"],
        "accuracy_snn": accuracy["snn"],
        "agreement": provenance.accuracy.get("agreement"),
        "notes": list(provenance.notes),
    }
    rows = {
        "network": str(path),
        "digest": network.digest[:16],
        "accuracy of the model": percent(accuracy["ann"]),
        "accuracy of the network": percent(accuracy["snn"]),
    }
    return Answer(document, (named_rows("Converted; accuracies on samples of the calibration data", rows),))


def timesteps_of(network: "Network") -> int:
    """Time steps of most populations that fire, those of the input where none does."""
    from statistics import mode

    firing = [item.neuron.timesteps for item in network.populations if hasattr(item.neuron, "timesteps")]
    return mode(firing or [network.inputs[0].timesteps])


def show(network: NetworkFile, json: Json = False) -> Answer:
    """Show what a network consists of, with the proven width of every potential.

    \b
    Example:
      spikeloom show mlp.loom
    """
    from dataclasses import asdict

    from spikeloom.network import Network

    loaded = Network.load(network)
    populations = [_input(item) for item in loaded.inputs] + _populations(loaded)
    connections = [
        {
            "name": item.name,
            "source": item.source,
            "target": item.target,
            "kind": item.geometry.kind,
            "geometry": asdict(item.geometry),
            "weights": int(item.weights.size),
            "weight_bits": item.weight_bits,
        }
        for item in loaded.connections
    ]
    provenance = asdict(loaded.provenance)
    document = {
        "network": loaded.name,
        "digest": loaded.digest,
        "schedule": loaded.schedule,
        "populations": populations,
        "connections": connections,
        "readouts": [asdict(item) for item in loaded.readouts],
        "provenance": provenance,
    }
    head = named_rows(
        f"Network {loaded.name}",
        {"digest": loaded.digest, "schedule": loaded.schedule}
        | ({"sequence": f"{loaded.inputs[0].sequence} time steps a sample"} if loaded.inputs[0].sequence else {})
        | {name: str(provenance[name]) for name in ("model", "method") if provenance[name]}
        | {f"accuracy {name}": percent(value) for name, value in loaded.provenance.accuracy.items()}
        | {name: str(value).lower() for name, value in loaded.provenance.options.items()}
        | {"note": "; ".join(loaded.provenance.notes) or "-"},
    )
    return Answer(document, (head, _population_table(populations), _connection_table(connections)))


def _input(item: Any) -> dict[str, Any]:
    values = ("timesteps", "growth", "code", "activity", "sequence")
    return {"name": item.name, "shape": list(item.shape), "neuron": "input"} | {v: getattr(item, v) for v in values}


def _populations(network: "Network") -> list[dict[str, Any]]:
    from spikeloom.bounds import potential_bits, potential_bounds
    from spikeloom.neuron import Neuron

    bits, bounds = potential_bits(network), potential_bounds(network)
    found = []
    for item in network.populations:
        low, high = bounds[item.name]
        entry: dict[str, Any] = {"name": item.name, "shape": list(item.shape), "neuron": "readout"}
        if isinstance(item.neuron, Neuron):
            neuron, theta = item.neuron, item.neuron.theta
            kind = "IF" if neuron.growth == 1 else "iLIF" if neuron.growth > 1 else "LIF"
            kind = kind if neuron.step_gamma is None else "StepReLU"
            entry["neuron"] = f"signed {kind}" if neuron.signed else kind
            entry |= {"timesteps": neuron.timesteps, "growth": neuron.growth, "code": neuron.code}
            entry["activity"] = item.activity
            entry["theta"] = [int(theta.min()), int(theta.max())]
        found.append(entry | {"potential_bits": bits[item.name], "bounds": [int(low.min()), int(high.max())]})
    return found


def _population_table(populations: list[dict[str, Any]]) -> tuple[tuple[str, ...], ...]:
    heads = ("population", "shape", "neuron", "T", "k", "code", "theta", "bits", "proven range of V", "events/sample")
    return (
        heads,
        *(
            (
                item["name"],
                "x".join(map(str, item["shape"])),
                item["neuron"],
                str(item.get("timesteps", "")),
                f"{item['growth']:g}" if "growth" in item else "",
                item.get("code", ""),
                "..".join(map(str, dict.fromkeys(item.get("theta", ())))),
                str(item.get("potential_bits", "")),
                " .. ".join(map(str, item.get("bounds", ()))),
                f"{item['activity']:.1f}" if item.get("activity") else "",
            )
            for item in populations
        ),
    )


def _connection_table(connections: list[dict[str, Any]]) -> tuple[tuple[str, ...], ...]:
    heads = ("connection", "from", "to", "kind", "kernel", "stride", "padding", "pool", "weights", "bits")
    rows = []
    for item in connections:
        pairs = ["x".join(map(str, item["geometry"].get(name, ()))) for name in ("kernel", "stride", "padding", "pool")]
        if item["geometry"].get("pool_kind") == "max":
            every = item["geometry"].get("pool_stride")
            pairs[-1] = f"max {pairs[-1]}" + (f"/{'x'.join(map(str, every))}" if every else "")
        ends = (str(item["weights"]), str(item["weight_bits"]))
        rows.append((item["name"], item["source"], item["target"], item["kind"], *pairs, *ends))
    return heads, *rows


def run(
    network: NetworkFile,
    data: Source,
    layers: Annotated[
        bool, typer.Option("--layers", help="Compare with the model layer by layer: where accuracy goes.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="With --layers: the model, as of `spikeloom convert`.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="With --layers: its weights.")] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="A[,B,..]", help="With --layers: as of `spikeloom convert`.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="A[,B,..]", help="With --layers: likewise.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="With --layers: a .png file to draw.")] = None,
    samples: Samples = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> Answer:
    """Run the golden model over the test split: accuracy, synaptic operations, energy, images per second.

    \b
    Example:
      spikeloom run mlp.loom mnist --data-dir data
      spikeloom run mlp.loom mnist --layers --model spikeloom_convert.models:mnist_mlp --weights mlp.safetensors
    """
    from spikeloom import datasets
    from spikeloom.network import Network

    from .analysis import comparison

    loaded = Network.load(network)
    compared = comparison(layers, model, weights, numbers("--mean", mean), numbers("--std", std), plot)
    split = datasets.load(data, "test", data_dir).head(samples)
    answer = measured(loaded, split)
    return answer if compared is None else compared.added_to(answer, loaded, split)


def measured(network: "Network", data: Any) -> Answer:
    """The answer of run, which the demo gives too."""
    from dataclasses import asdict

    from spikeloom.measure import measure

    from .analysis import energy_of, energy_table

    network.require_built()
    with working(f"running {len(data)} samples") as progress:
        result = measure(network, data.x, data.y, progress=progress)
    rows = {
        "samples": str(result.samples),
        "accuracy": percent(result.accuracy),
        "SOPs per inference": f"{result.sops_per_inference:,.0f}",
        "spikes per neuron": f"{result.spikes_per_neuron:.3f}",
        "images per second": f"{result.images_per_second:,.0f}",
    }
    events = ("population", "events a sample")
    sops = ("connection", "SOPs a sample")
    cost = energy_of(network, result.sops_per_inference)
    return Answer(
        asdict(result) | {"digest": network.digest, "energy": asdict(cost)},
        (
            named_rows(f"Network {network.name} on {data.name}", rows),
            energy_table(cost),
            (events, *((name, f"{value:,.1f}") for name, value in result.spikes.items())),
            (sops, *((name, f"{value:,.1f}") for name, value in result.sops.items())),
        ),
    )
