"""ResNet-20 of somebody else's training at fewer and fewer time steps, without training it again."""

from typing import Any

from spikeloom import datasets
from spikeloom.measure import measure
from spikeloom_convert import convert

from ...output import working
from ..deep import logits_of, noise, resnet20
from ..nets import Bench

FINE_TUNED = (4, 3)  # time steps at which the fine-tune is measured too
EPOCHS = 3  # of it
SEVERAL = (5, 4, 3)  # time steps at which two neurons for each activation of some layers are measured too:
BRANCHES = {"conv1": 2, "*_conv2": 2}  # those that residual additions repeat, which make most of the noise
MOST_LOSS = {16: 0.1, 8: 0.1, 6: 0.1, 5: 0.1, 4: 0.4, 3: 3.0}  # time steps: points of accuracy
WEIGHT_BITS = 8


def few_steps(bench: Bench) -> dict[str, Any]:
    """Accuracy over all test images at each T, the answers that change, and the synaptic operations."""
    model = resnet20(bench)
    train, test = (datasets.load("cifar10", split, bench.data_dir) for split in ("train", "test"))
    expected = logits_of(model, test.x)
    ann = float((expected.argmax(1) == test.labels).mean())

    def row(timesteps: int, epochs: int, neurons: dict[str, int]) -> dict[str, Any]:
        with working(f"converting ResNet-20, T={timesteps}, {epochs} epochs") as progress:
            network = convert(
                model, train.x, labels=train.y, timesteps=timesteps, weight_bits=WEIGHT_BITS, input_timesteps=8,
                options={"fine_tune": epochs, "augment": epochs > 0}, layer_neurons=neurons, seed=bench.seed,
                name="resnet20", progress=progress,
            )  # fmt: skip
        result = measure(network, test.x, test.y)
        assert result.accuracy is not None
        return {
            "timesteps": timesteps,
            "accuracy_snn": result.accuracy,
            "loss_points": round(100 * (ann - result.accuracy), 2),
            "sops_per_inference": result.sops_per_inference,
            "spikes_per_neuron": result.spikes_per_neuron,
            **noise(network, test.x, expected),
            "chosen": network.provenance.notes[0],
        } | ({"layer_neurons": neurons} if neurons else {})

    rows = []
    for timesteps in MOST_LOSS:
        more = {"fine_tuned": row(timesteps, EPOCHS, {})} if timesteps in FINE_TUNED else {}
        if timesteps in SEVERAL:
            more["several"] = row(timesteps, 0, BRANCHES)
        rows.append(row(timesteps, 0, {}) | more)
    return {
        "data": f"CIFAR-10, {len(test.x)} test images; calibrated on {len(train.x)} training images at most",
        "weight_bits": WEIGHT_BITS,
        "seed": bench.seed,
        "accuracy_ann": ann,
        "rows": rows,
        "missed": missed(rows),
    }


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """Bounds that do not hold, as sentences."""
    found = []
    for row in rows:
        steps = row["timesteps"]
        for how, item in (("", row), (", two neurons for an activation", row.get("several"))):
            if item and item["loss_points"] > MOST_LOSS[steps]:
                found.append(f"T={steps}{how}: loses {item['loss_points']:g} points, above {MOST_LOSS[steps]:g}")
    return found
