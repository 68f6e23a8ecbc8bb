"""The figures of a page, made of its facts: which lines, which labels, and what each shows in a sentence."""

from dataclasses import dataclass

import numpy as np

from .charts import LineChart, Part, RasterChart, line_chart, raster_chart, stacked
from .facts import Accuracy, Core, Course, Facts, Missing, Raster, Sample, Sweep

STATES = ("accumulating", "waiting", "draining", "program")
MOST_CLASSES = 24  # of a confusion matrix that is drawn; of more, the most frequent confusions are listed
MOST_CONFUSIONS = 10
MOST_STEPS_NAMED = 12  # on an axis of two phases


@dataclass(frozen=True)
class CoreBar:
    """Where the cycles of a core go: parts of a bar as long as a sample takes, and the cycles of each state."""

    name: str
    layers: str
    parts: tuple[Part, ...]
    cycles: tuple[float, ...]
    total: float


@dataclass(frozen=True)
class Cell:
    """A field of the confusion matrix: `share` of the samples of its class, `deep` in hundredths of the ink."""

    count: int
    share: float
    deep: int
    right: bool


@dataclass(frozen=True)
class Confusion:
    """Rows of cells by true class; `rows` is empty where there are too many, `worst` the most frequent confusions."""

    classes: int
    rows: tuple[tuple[Cell, ...], ...]
    worst: tuple[tuple[int, int, int, float], ...]


@dataclass(frozen=True)
class Followed:
    """A population's potentials as a chart, with what each line is."""

    population: str
    chart: LineChart
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Shown:
    """A sample with its figures."""

    sample: Sample
    rasters: tuple[tuple[Raster, RasterChart], ...]
    courses: tuple[Followed, ...]


def prefix_chart(accuracy: Accuracy) -> LineChart | None:
    """Accuracy when the readout is read after each time step; None without labels."""
    if not accuracy.prefix:
        return None
    xs, ys = zip(*((float(point.timesteps), point.accuracy) for point in accuracy.prefix), strict=True)
    return line_chart(
        "prefix",
        "Accuracy when the readout is read early",
        f"After time step 1 {ys[0]:.2%}, after the last of {len(ys)} {ys[-1]:.2%} of {accuracy.samples:,} samples.",
        [("read after step", xs, ys)],
        x_label="time step after which the readout is read",
        y_label="accuracy, %",
        percent=True,
    )


def sweep_chart(sweep: Sweep) -> LineChart:
    """Accuracy of conversions at several T, with the model's own as a line."""
    xs, ys = zip(*((float(point.timesteps), point.accuracy) for point in sweep.points), strict=True)
    places = tuple(float(place) for place in range(len(xs)))  # T double: even distances
    return line_chart(
        "sweep",
        "Accuracy of conversions at several T",
        f"From {ys[0]:.2%} at T={xs[0]:g} to {ys[-1]:.2%} at T={xs[-1]:g}; the model has {sweep.accuracy_ann:.2%}.",
        [("spiking network", places, ys)],
        x_label="time steps T that the model was converted with",
        y_label="accuracy, %; dotted: the model's own",
        percent=True,
        rules=[sweep.accuracy_ann],
        x_names={place: f"{x:g}" for place, x in zip(places, xs, strict=True)},
    )


def confusion_of(counts: np.ndarray) -> Confusion:
    """The confusion matrix int64 [classes, classes] as cells."""
    classes = len(counts)
    sizes = counts.sum(1)
    shares = counts / np.maximum(sizes, 1)[:, None]
    wrong = counts * (1 - np.eye(classes, dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(place), classes) for place in order]
    worst = tuple((a, b, int(wrong[a, b]), float(shares[a, b])) for a, b in pairs if wrong[a, b])
    if classes > MOST_CLASSES:
        return Confusion(classes, (), worst)
    rows = tuple(
        tuple(Cell(int(counts[a, b]), float(shares[a, b]), _deep(shares[a, b]), a == b) for b in range(classes))
        for a in range(classes)
    )
    return Confusion(classes, rows, worst)


def _deep(share: float) -> int:
    """Rare confusions can be seen too: the root of the share, in hundredths."""
    return round(100 * float(np.sqrt(share)))


def core_bars(facts: Facts) -> tuple[CoreBar, ...]:
    """Where the cycles go, by core; all bars are as long as the longest sample of a core."""
    seen = [(core, core.states) for core in facts.cores if core.states]
    whole = max((sum(states.values()) for _, states in seen), default=0.0)
    return tuple(_core_bar(core, states, whole) for core, states in seen)


def _core_bar(core: Core, states: dict[str, float], whole: float) -> CoreBar:
    cycles = tuple(states.get(state, 0.0) for state in STATES)
    names = [layer.name for layer in core.layers]
    layers = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}, {len(names)} layers"
    return CoreBar(core.name, layers, stacked(tuple(zip(STATES, cycles, strict=True)), whole), cycles, sum(cycles))


def shown(place: int, sample: Sample) -> Shown:
    """A sample with its figures; `place` makes their keys unique."""
    rasters = tuple((item, _raster(f"r{place}-{number}", item)) for number, item in enumerate(sample.rasters))
    courses = tuple(_followed(f"v{place}-{number}", item) for number, item in enumerate(sample.courses))
    return Shown(sample, rasters, courses)


def _raster(key: str, raster: Raster) -> RasterChart:
    neurons, steps = raster.spikes.shape
    of_all = "all" if neurons == raster.total else f"{neurons} of the {raster.total:,}"
    drawn = int(np.count_nonzero(raster.spikes))
    return raster_chart(
        key,
        f"Spikes of {raster.population}",
        f"{drawn:,} spikes of {of_all} neurons in {steps} time steps, one row for each neuron.",
        raster.spikes,
        raster.addresses,
    )


def _followed(key: str, course: Course) -> Followed:
    """Potentials over thresholds, so that all lines fire at one height; those of a readout as they are."""
    steps = course.potentials.shape[1]
    values = course.potentials.astype(np.float64)
    if course.theta is not None:
        values = values / course.theta[:, None]
    xs = [float(step + 1) for step in range(steps)]
    names = [f"{'output' if course.theta is None else 'neuron'} {address}" for address in course.addresses]
    lines = [(name, xs, [float(value) for value in row]) for name, row in zip(names, values, strict=True)]
    what = "potential over threshold" if course.theta is not None else "potential"
    edge, generated = course.accumulated + 0.5, steps - course.accumulated
    chart = line_chart(
        key,
        f"Potentials of {course.population}",
        f"{what.capitalize()} of {len(names)} neurons over {course.accumulated} steps of accumulating"
        + (f" and {generated} of generating." if generated else "."),
        lines,
        x_label="time step",
        y_label=f"{what}; dotted: where it fires" if course.theta is not None else what,
        rules=course.fires,
        splits=[(1.0, edge, "accumulate"), (edge, float(steps), "generate")] if generated else (),
        x_names=_phase_names(course.accumulated, generated) if generated else None,
    )
    ends = [f"{name}{f', {end}' if end else ''}" for name, end in zip(names, course.ends, strict=True)]
    return Followed(
        course.population, chart, tuple((line.number, text) for line, text in zip(chart.series, ends, strict=True))
    )


def _phase_names(accumulated: int, generated: int) -> dict[float, str]:
    """Steps are counted from 1 in either phase."""
    from .charts import whole_ticks

    most = max(2, MOST_STEPS_NAMED * accumulated // (accumulated + generated))
    first = {float(step): str(step) for step in whole_ticks(accumulated, most)}
    return first | {
        float(accumulated + step): str(step) for step in whole_ticks(generated, max(2, MOST_STEPS_NAMED - most))
    }


def accuracy_charts(facts: Facts) -> tuple[LineChart, ...]:
    """The charts of accuracy against time steps that there are."""
    found = [None if isinstance(facts.accuracy, Missing) else prefix_chart(facts.accuracy)]
    found.append(None if isinstance(facts.sweep, Missing) else sweep_chart(facts.sweep))
    return tuple(item for item in found if item is not None)
