"""Commands that train: train, and networks, which lists what can be trained by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, as_options, named_rows, percent, working
from .options import DataDir, Json, Samples, Seed, require_writable

if TYPE_CHECKING:
    from spikeloom.datasets import Data
    from spikeloom_convert import TrainedNetwork


def train(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="As `spikeloom networks` lists, or package.module:factory."),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Its training split: a name, an .npz file, a folder.  [default: the network's]"
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="What the kept epoch is tested on.  [default: test split of --data]"),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="A",
            help="relu, trelu, strelu, atlrelu, steprelu, qcfs, noisy-quantized.  [default: the network's]",
        ),
    ] = None,
    levels: Annotated[int | None, typer.Option(metavar="L", help="Steps of qcfs and noisy-quantized.")] = None,
    bound: Annotated[
        float | None, typer.Option(metavar="B", help="Bound of trelu and strelu; lambda of qcfs to start with.")
    ] = None,
    gamma: Annotated[float | None, typer.Option(metavar="G", help="Step of steprelu.")] = None,
    alpha: Annotated[float | None, typer.Option(metavar="A", help="Slope of atlrelu below zero.")] = None,
    width: Annotated[
        float | None, typer.Option(metavar="W", help="Part of the paper's maps and units, for CIFAR-10.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Passes over the training split.  [default: the network's, or 20]")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Samples of a step.  [default: the network's, or 128]")
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(metavar="O", help="adam or sgd.  [default: as the activation's paper has it]")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="R", help="Of the first epoch.  [default: the network's, or 0.001 for adam, 0.05 for sgd]"
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(metavar="R", help="Of all parameters.  [default: 0 for adam, 0.0005 for sgd]")
    ] = None,
    gain: Annotated[
        float | None,
        typer.Option(
            metavar="G",
            help="Factor of the weights that all layers but the last start with.  [default: the network's, or 1]",
        ),
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="Part of every label that is shared out among all classes.  [default: the network's, or 0]",
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option("--augment/--no-augment", help="Shift and mirror images.  [default: for CIFAR-10 by name]"),
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(metavar="N", help="Samples held back to choose the epoch.  [default: a tenth, to 5000]"),
    ] = None,
    tau: Annotated[
        int | None,
        typer.Option(metavar="T", help="Choose by the spiking network's accuracy with so many time steps.  [qcfs: L]"),
    ] = None,
    plain_epochs: Annotated[
        int | None, typer.Option(metavar="N", help="First epochs of trelu without threshold.  [default: a 15th]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from the checkpoint beside the output.")
    ] = True,
    seed: Seed = 0,
    data_dir: DataDir = None,
    samples: Samples = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write.")
    ] = Path("net.safetensors"),
    json: Json = False,
) -> Answer:
    """Train a network; stopped at any time, the same command goes on from the last epoch.

    Beside the weights lie a checkpoint and the curves, a PNG file. The epoch is chosen on samples that are held back
    from training, never on the test split. Some networks have settings of their own, which `spikeloom networks` lists;
    they go with their own activation function, and options win over them.

    \b
    Example:
      spikeloom train net2 -o net2.safetensors
      spikeloom convert net2.safetensors --calibration mnist --method strelu --timesteps 8 -o net2.loom
    """
    from spikeloom import datasets
    from spikeloom.errors import InvalidData, InvalidNetwork, SpikeloomError

    if output.suffix != ".safetensors":
        raise SpikeloomError(f"Output '{output}': must be a .safetensors file; give it that ending")
    require_writable(output, "a .safetensors file")
    from spikeloom_convert import NETWORKS, train_network

    name = network.partition(":")[0]
    if name not in NETWORKS and ":" not in network:
        raise InvalidNetwork(
            f"Network '{network}': must be one that `spikeloom networks` lists, or package.module:factory"
        )
    if data is None and name not in NETWORKS:
        raise InvalidData(f"Data for '{network}': must be named by --data; networks by name have their own")
    source = data or NETWORKS[name].data
    training = datasets.load(source, "train", data_dir).head(samples)
    unseen = _unseen(training, source, test, data_dir)
    given = {"levels": levels, "bound": bound, "gamma": gamma, "alpha": alpha}
    with working(f"training {network} on {len(training)} samples") as progress:
        result = train_network(
            network,
            training.x,
            training.labels,
            activation=activation,
            parameters={name: value for name, value in given.items() if value is not None},
            width=width,
            epochs=epochs,
            batch=batch,
            optimiser=optimiser,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            gain=gain,
            smoothing=smoothing,
            augment=augment,
            validation=validation,
            tau=tau,
            plain_epochs=plain_epochs,
            seed=seed,
            output=output,
            resume=resume,
            progress=progress,
        )
    from ..plots.training import draw

    picture = output.with_suffix(".png")
    draw(picture, result.history, result.epoch)
    return _trained(result, training, unseen, output, picture)


def _unseen(training: "Data", source: str, test: str | None, data_dir: str | None) -> "Data | None":
    """Samples to test on, with labels: an .npz file has no test split, and is not its own."""
    from spikeloom import datasets
    from spikeloom.errors import InvalidData

    if test is None and source not in datasets.NAMES and Path(source).suffix == ".npz":
        return None
    unseen = datasets.load(test or source, "test", data_dir)
    wanted, given = training.x.shape[1:], unseen.x.shape[1:]
    if len(unseen.labels) and wanted != given:
        raise InvalidData(f"Data '{unseen.name}': must have samples of shape {wanted} to test on, not {given}")
    return unseen


def _trained(result: "TrainedNetwork", training: "Data", unseen: "Data | None", output: Path, picture: Path) -> Answer:
    from dataclasses import asdict

    from spikeloom_convert.training.checkpoint import path_of

    ann, snn = (None, None) if unseen is None else result.test(unseen.x, unseen.labels)
    reached, recipe = result.reached, result.recipe
    document: dict[str, Any] = {
        "weights": str(output),
        "checkpoint": str(path_of(output)),
        "curves": str(picture),
        "data": training.name,
        **result.origin.document,
        **asdict(recipe),
        "epoch": result.epoch,
        "accuracy_validation": reached.accuracy,
        "accuracy_validation_snn": reached.snn_accuracy,
        "accuracy_test": ann,
        "accuracy_test_snn": snn,
        "seconds_per_epoch": result.seconds_per_epoch,
        "history": [asdict(epoch) for epoch in result.history],
    }
    spiking = f" of the spiking network, T = {recipe.tau}"
    rows = {
        "weights": str(output),
        "curves": str(picture),
        "epoch kept": f"{result.epoch} of {recipe.epochs}",
        "validation accuracy": percent(reached.accuracy),
        **({f"  {spiking.strip()}": percent(reached.snn_accuracy)} if recipe.tau else {}),
        "test accuracy": percent(ann),
        **({f"  {spiking.strip()} ": percent(snn)} if recipe.tau else {}),
        "seconds per epoch": f"{result.seconds_per_epoch:.1f}",
    }
    return Answer(document, (named_rows(f"Trained {result.origin.model} on {training.name}", rows),))


def networks(json: Json = False) -> Answer:
    """List the networks that can be trained by name, at sizes for one or two processor cores.

    A width below 1 is the part of the paper's maps and units it has; `spikeloom train --width` sets another. The
    seconds an epoch takes were measured on one core of a cloud machine. Settings that a network has of its own are
    those of `spikeloom train` with this activation function.

    \b
    Example:
      spikeloom networks
    """
    from spikeloom_convert import NETWORKS

    found = []
    for name, item in NETWORKS.items():
        parameters, macs = item.cost()
        found.append(
            {
                "name": name,
                "data": item.data,
                "activation": item.activation,
                "topology": item.text,
                "width": item.width,
                "parameters": parameters,
                "macs": macs,
                "seconds_per_epoch": item.seconds,
                "recipe": dict(item.recipe),
            }
        )
    heads = ("network", "data", "activation", "topology", "width", "parameters", "MACs", "s/epoch")
    rows = [
        (
            *(str(item[key]) for key in ("name", "data", "activation", "topology")),
            "1" if item["width"] is None else f"{item['width']:g}",
            f"{item['parameters']:,}",
            f"{item['macs']:,}",
            f"{item['seconds_per_epoch']:g}",
        )
        for item in found
    ]
    own = {str(item["name"]): as_options(NETWORKS[str(item["name"])].recipe) for item in found if item["recipe"]}
    return Answer({"networks": found}, ((heads, *rows), named_rows("Trained with settings of their own", own)))
