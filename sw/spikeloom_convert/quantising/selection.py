"""Choose between quantised candidates by what they do on samples that no threshold was fitted on."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata

import numpy as np
import spikeloom
from spikeloom import golden
from spikeloom.checks import MAX_TIMESTEPS
from spikeloom.measure import fan_out
from spikeloom.network import Input, Network, Population

from ..float_network import FloatNetwork
from ..folding.prepare import PreparedModel
from ..samples import LEAST_SPLIT, PIXEL_BITS, Samples, heard
from .calibrate import Rule

ALIKE = 1.25  # logits so many times as far from the trained model's as the nearest ones are as good as they
_HARDLY = 1e-3  # if they are no more than that further off: so little changes hardly any answer
_NOTED = 5e-3  # such a distance, made by the input's few bits alone, is worth a note,
_CLEARLY = 0.7  # times the distance of another range of the input, to be taken in its place
_CUT = 1.5  # times the range of the codes that samples reach over before it is said
_MUCH = 0.5  # where it is so much of the whole


@dataclass(frozen=True, eq=False)
class Reference:
    """The trained model on the held-back samples.

    Members
    -------
    held : Samples
    classes : int64 [N], what the model itself answers.
    logits : float64 [N, outputs] of every output, before a final softmax or sigmoid; the first one gives the classes.
    """

    held: Samples
    classes: np.ndarray
    logits: list[np.ndarray]

    @classmethod
    def of(cls, prepared: PreparedModel, held: Samples) -> "Reference":
        """Run the model on the held-back samples."""
        return cls(held, prepared.outputs(held)[0].argmax(1), prepared.logits(held))

    def accuracy(self, classes: np.ndarray) -> float | None:
        """Part of the held-back samples that these classes are right for; None without labels."""
        return None if self.held.y is None else float((classes == self.held.y).mean())


@dataclass(frozen=True, eq=False)
class Candidate:
    """A spiking network and what it does on the held-back samples.

    Members
    -------
    right : samples classified as labelled, or, without labels, as the trained model does.
    differing : samples classified otherwise than by the trained model.
    error : mean squared distance from the trained model's logits, their common offset removed, over their variance.
    sops : synaptic operations of a sample, by the calibration samples' activity.
    """

    rule: Rule | str
    network: Network
    accuracy: float | None
    right: int
    differing: int
    error: float
    sops: float

    @classmethod
    def measure(cls, rule: Rule | str, network: Network, reference: Reference) -> "Candidate":
        """Run the golden model on the held-back samples."""
        potentials = golden.evaluate(network, reference.held.x)
        every = potentials if isinstance(potentials, dict) else {network.readouts[0].population: potentials}
        logits = [every[readout.population] * readout.scale for readout in network.readouts]
        classes = logits[0].argmax(1)
        labels = reference.classes if reference.held.y is None else reference.held.y
        error = float(np.mean([distance(*pair) for pair in zip(logits, reference.logits, strict=True)]))
        return cls(
            rule,
            network,
            reference.accuracy(classes),
            int((classes == labels).sum()),
            int((classes != reference.classes).sum()),
            error,
            _sops(network),
        )


def _sops(network: Network) -> float:
    """As many events as each train has in calibration, at their mean cost; what max pooling leaves out is counted."""
    senders: list[Input | Population] = [*network.inputs, *network.populations]
    activity = {item.name: item.activity for item in senders}
    return sum(activity[item.source] * float(fan_out(network, item).mean()) for item in network.connections)


def distance(logits: np.ndarray, expected: np.ndarray) -> float:
    """Mean squared difference of logits [N, outputs] over the expected ones' mean square; common offsets removed."""
    offset, expected = (values - values.mean(1, keepdims=True) for values in (logits, expected))
    return float(((offset - expected) ** 2).mean() / max(float((expected**2).mean()), 1e-30))


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate that measures best.

    More samples classified right, where the difference is more than chance (beyond twice the standard deviation that
    the differing samples allow); among the rest, logits near the trained model's; among those that are nearly as near
    as the nearest (`ALIKE`), the fewest synaptic operations.
    """
    most = max(item.right for item in candidates)
    chance = 2.0 * max(item.differing for item in candidates) ** 0.5
    likely = [item for item in candidates if most - item.right <= chance]
    least = min(item.error for item in likely)
    near = min(ALIKE * least, least + _HARDLY)
    return min((item for item in likely if item.error <= near), key=lambda item: (item.sops, item.error))


def nearest_input(network: FloatNetwork, sources: Sequence[Input], reference: Reference) -> Input:
    """The input population whose codes let the float network come nearer to the model's logits, of most samples, than
    those ahead of it, and clearly so.
    """

    def usual(source: Input) -> float:  # a sample with a spike of noise in it shall not decide
        off = [np.square(logits - expected).mean(1) for logits, expected in _heard(network, source, reference)]
        return float(np.mean([np.median(item) for item in off]))

    if len(sources) == 1:
        return sources[0]
    best, least = sources[0], usual(sources[0])
    for source in sources[1:]:
        if (error := usual(source)) < _CLEARLY * least:
            best, least = source, error
    return best


def _heard(network: FloatNetwork, source: Input, reference: Reference) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits of the float network that gets samples as input codes stand for them, and those of the model."""
    logits = [item.double().numpy() for item in network.forward(heard(reference.held, source))]
    return zip(logits, reference.logits, strict=True)


def input_notes(
    network: FloatNetwork, source: Input, reference: Reference, error: float, span: tuple[float, float]
) -> tuple[str, ...]:
    """What lies beyond the range of the codes; and what to do where most of a candidate's `error` is that of their few
    bits. `span`: of all samples.
    """
    found = []
    if span[1] - span[0] > _CUT * (source.high - source.low):
        found.append(
            f"samples are cut to {source.low:.4g}..{source.high:.4g}, the range of least error; they reach from "
            f"{span[0]:.4g} to {span[1]:.4g}"
        )
    most = PIXEL_BITS if reference.held.x.dtype == np.uint8 else MAX_TIMESTEPS
    if source.timesteps < most and error >= _NOTED:
        own = float(np.mean([distance(*pair) for pair in _heard(network, source, reference)]))
        if own >= max(_NOTED, _MUCH * error):
            bits = f"{source.timesteps} bit{'s' if source.timesteps > 1 else ''}"
            found.append(
                f"{min(own / error, 1.0):.0%} of the distance from the model's logits is the input's, cut to {bits}: "
                f"more input_timesteps, up to {most}, bring it nearer"
            )
    return tuple(found)


def _told(fitted: int, held: int) -> str:
    if fitted == held < LEAST_SPLIT:
        return f"fitted and measured on the same {held} samples"
    return f"fitted on {fitted} samples, measured on {held}"


def with_provenance(
    best: Candidate,
    reference: Reference,
    method: str,
    options: Mapping[str, bool | int | float | str],
    fitted: int,
    more: Sequence[str] = (),
) -> Network:
    """The chosen network with what is known about it, and `more` notes."""
    accuracy: dict[str, float] = {}
    ann = reference.accuracy(reference.classes)
    if ann is not None and best.accuracy is not None:
        accuracy = {"ann": ann, "snn": best.accuracy}
    samples = len(reference.held)
    accuracy["agreement"] = 1.0 - best.differing / samples
    packages = {"spikeloom": spikeloom.__version__, "python": platform.python_version()}
    packages |= {name: metadata.version(name) for name in ("torch", "numpy")}
    notes = (f"{best.rule}", _told(fitted, samples), *best.network.provenance.notes, *more)
    known = replace(
        best.network.provenance, method=method, options=dict(options), notes=notes, accuracy=accuracy, versions=packages
    )
    return replace(best.network, provenance=known)
