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
MOST_LOSS = {16: 0.1, 8: 0.1, 6: 0.1, 5: 0.1, 4: 0.4, 3: 3.0}  # time steps: points of accuracy
WEIGHT_BITS = 8


def few_steps(bench: Bench) -> dict[str, Any]:
    """Accuracy over all test images at each T, the answers that change, and the synaptic operations."""
    model = resnet20(bench)
    train, test = (datasets.load("cifar10", split, bench.data_dir) for split in ("train", "test"))
    expected = logits_of(model, test.x)
    ann = float((expected.argmax(1) == test.labels).mean())

    def row(timesteps: int, epochs: int) -> dict[str, Any]:
        with working(f"converting ResNet-20, T={timesteps}, {epochs} epochs") as progress:
            network = convert(
                model, train.x, labels=train.y, timesteps=timesteps, weight_bits=WEIGHT_BITS, input_timesteps=8,
                options={"fine_tune": epochs, "augment": epochs > 0}, seed=bench.seed, name="resnet20",
                progress=progress,
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
        }

    rows = []
    for timesteps in MOST_LOSS:
        tuned = {"fine_tuned": row(timesteps, EPOCHS)} if timesteps in FINE_TUNED else {}
        rows.append(row(timesteps, 0) | tuned)
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
    return [
        f"T={row['timesteps']}: loses {row['loss_points']:g} points, above {MOST_LOSS[row['timesteps']]:g}"
        for row in rows
        if row["loss_points"] > MOST_LOSS[row["timesteps"]]
    ]
