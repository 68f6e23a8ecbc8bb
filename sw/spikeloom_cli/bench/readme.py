"""Rewrites the results table of the README from docs/results/*.json, between two marks."""

import json
from pathlib import Path

from spikeloom import SpikeloomError
from spikeloom.storage import write_whole

BEGIN, END = "<!-- results: `make bench` writes this table -->", "<!-- /results -->"
NEEDED = ("conversion", "core")


def update(results: Path, readme: Path) -> None:
    """Replace what stands between the marks; nothing where the README or a result file is missing."""
    if not readme.is_file() or not all((results / f"{name}.json").is_file() for name in NEEDED):
        return
    write_whole(readme, filled(readme.read_text(), results).encode())


def filled(text: str, results: Path) -> str:
    """The README with its tables as the result files say; SpikeloomError where the marks are missing."""
    if BEGIN not in text or END not in text:
        raise SpikeloomError(f"File 'README.md': must hold the marks '{BEGIN}' and '{END}' for the results table")
    files = {name: results / f"{name}.json" for name in NEEDED}
    lines = render(*(json.loads(path.read_text()) for path in files.values()))
    deep = results / "deep.json"
    if deep.is_file():
        lines += ["", *render_deep(json.loads(deep.read_text()))]
    for name, render_more in (("few_steps", render_few_steps), ("peers", render_peers)):
        if (more := results / f"{name}.json").is_file():
            lines += ["", *render_more(json.loads(more.read_text()))]
    table = "\n".join(lines)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def render_few_steps(few_steps: dict) -> list[str]:
    """ResNet-20 of somebody else's training at several T."""
    rows = few_steps["rows"]
    return [
        "| ResNet-20, CIFAR-10, not trained again | " + " | ".join(f"T={row['timesteps']}" for row in rows) + " |",
        "|---|" + "---|" * len(rows),
        "| SNN | " + " | ".join(f"{row['accuracy_snn']:.2%}" for row in rows) + " |",
        "| points lost | " + " | ".join(f"{row['loss_points']:.2f}" for row in rows) + " |",
        "| the same with two neurons for an activation | "
        + " | ".join(f"{row['several']['loss_points']:.2f}" if "several" in row else "-" for row in rows)
        + " |",
        "",
        f"Somebody else's weights, {few_steps['accuracy_ann']:.2%} in floats; {few_steps['weight_bits']}-bit weights, "
        f"all eight bits of the pixels, seed {few_steps['seed']}; {few_steps['data']}. Two neurons for each activation "
        "that a residual addition repeats (`--layer-neurons conv1=2 --layer-neurons '*_conv2=2'`): a longer train "
        "costs less, where it may be.",
    ]


def render_peers(peers: dict) -> list[str]:
    """Beside SpikingJelly's best converter."""
    steps = list(dict.fromkeys(row["timesteps"] for row in peers["rows"]))
    lines = [
        "| MNIST, same trained networks | ANN | " + " | ".join(f"T={item}" for item in steps) + " |",
        "|---|---|" + "---|" * len(steps),
    ]
    for name in dict.fromkeys(row["network"] for row in peers["rows"]):
        rows = [row for row in peers["rows"] if row["network"] == name]
        ann = f"{rows[0]['accuracy_ann']:.2%}"
        theirs = (max(row["spikingjelly"].values()) for row in rows)
        lines.append(f"| {name}, Spikeloom | {ann} | " + " | ".join(f"{row['accuracy']:.2%}" for row in rows) + " |")
        lines.append(f"| {name}, SpikingJelly's best | {ann} | " + " | ".join(f"{item:.2%}" for item in theirs) + " |")
    return [
        *lines,
        "",
        f"{peers['data']}, seed {peers['seed']}; ours integers of {peers['weight_bits']} bits and pixels of eight, "
        "theirs floats, the best of four converters at each T. All methods: [what they "
        "reach](docs/reference/methods.md).",
    ]


def render(conversion: dict, core: dict) -> list[str]:
    """The table's lines."""
    accuracy = {(row["network"], row["timesteps"], row["weight_bits"]): row for row in conversion["rows"]}
    lines = [
        "| MNIST network, T=4, 6-bit weights | ANN | SNN | SOPs an image | lanes | cycles an image | of the bound "
        "| LUTs | RAM blocks | Fmax | µs an image |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = {"mnist_mlp": "784-128-10", "mnist_cnn": "16c3-p2-32c3-p2-10"}
    for row in core["rows"]:
        score = accuracy[row["network"], row["timesteps"], row["weight_bits"]]
        simulated, routed = row["simulated"], row["synthesised"]
        lines.append(
            f"| {names[row['network']]} | {score['accuracy_ann']:.2%} | {score['accuracy_snn']:.2%} "
            f"| {score['sops_per_inference']:,.0f} | {'+'.join(map(str, row['lanes']))} "
            f"| {simulated['initiation_interval_cycles']:,.0f} | {simulated['utilisation']:.1%} "
            f"| {routed['lut']:,} | {routed['ram']} | {routed['fmax_mhz']:.1f} MHz "
            f"| {row['microseconds_per_image_at_fmax']:.1f} |"
        )
    samples = ", ".join(str(row["simulated"]["samples"]) for row in core["rows"])
    differ = sum(row["simulated"]["mismatches"] for row in core["rows"])
    lines += [
        "",
        f"Accuracy over 10,000 test images. Gates: {samples} test images, {differ} integers differ from the golden "
        "model. ECP5 LFE5U-85F, speed grade 6, nextpnr's own figures. Files: [docs/results](docs/results).",
    ]
    return lines


def render_deep(deep: dict) -> list[str]:
    """The table of ResNet-20."""
    plain = [row for row in deep["conversion"] if not row.get("layer_timesteps")]
    accuracy = {row["timesteps"]: row for row in plain if row["weight_bits"] == 6}
    lines = [
        "| ResNet-20, CIFAR-10, 6-bit weights | ANN | SNN | cores x lanes | cycles an image | of the bound "
        "| LUTs | a lane | RAM blocks | Fmax | images/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in deep["cores"]:
        score, simulated, routed = accuracy[row["timesteps"]], row["simulated"], row.get("synthesised")
        gates = (
            f"{routed['lut']:,} | {row['comb_per_lane']:.0f} | {routed['ram']} | {routed['fmax_mhz']:.1f} MHz "
            f"| {row['frames_per_second_at_fmax']:.0f}"
            if routed
            else "| | | |"
        )
        lines.append(
            f"| T={row['timesteps']} | {score['accuracy_ann']:.2%} | {score['accuracy_snn']:.2%} "
            f"| {row['cores']} x {max(row['lanes'])}{'' if routed else ', no multipliers'} "
            f"| {simulated['initiation_interval_cycles']:,.0f} "
            f"| {simulated['utilisation']:.1%} | {gates} |"
        )
    differ = sum(row["simulated"]["mismatches"] for row in deep["cores"])
    wide = ", ".join(f"{row['accuracy_snn']:.2%} at T={row['timesteps']}" for row in plain if row["weight_bits"] == 8)
    lines += [
        "",
        f"With 8-bit weights {wide}. Accuracy: {deep['data']}, all eight bits of the pixels "
        "(`--input-timesteps 8`; else they are cut to T bits, which loses more). "
        f"Of every spike and potential of the images in gates {differ} integers differ from "
        "the golden model.",
    ]
    return lines
