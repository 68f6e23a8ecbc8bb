"""What the epochs of a training reached, and which one is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Members
    -------
    learning_rate : it was run with.
    loss : mean cross entropy over the training samples, on the way, with labels smoothed as the recipe says.
    validation_loss, accuracy : of the model on the validation split, behind the epoch.
    snn_accuracy : of the spiking network there, None where it was not measured.
    seconds : the epoch took, validation included.
    plain : whether threshold ReLUs had no threshold.
    deltas : noise of every `NoisyQuantized`, by path, as set behind the epoch for the next.
    """

    learning_rate: float
    loss: float
    validation_loss: float
    accuracy: float
    snn_accuracy: float | None
    seconds: float
    plain: bool = False
    deltas: dict[str, float] = field(default_factory=dict)

    @property
    def merit(self) -> tuple[float, float]:
        """By which epochs are compared: validation accuracy, the spiking network's where there is one; the loss."""
        return self.accuracy if self.snn_accuracy is None else self.snn_accuracy, -self.validation_loss


def best(history: Sequence[Epoch]) -> int | None:
    """Number of the epoch that did best, from 1; the first of equals; None where all were plain."""
    able = [number for number, epoch in enumerate(history, 1) if not epoch.plain]
    return max(able, key=lambda number: history[number - 1].merit, default=None)
