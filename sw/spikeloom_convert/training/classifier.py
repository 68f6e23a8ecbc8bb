"""Train a small classifier, the same way every time: Adam on cross entropy, the epoch chosen by validation accuracy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from spikeloom.errors import InvalidData, InvalidNetwork
from spikeloom.threads import single_threaded
from torch import nn

Progress = Callable[[int, int, str], None]  # epochs done, epochs in all, what was reached
_CHUNK = 1000


@dataclass(frozen=True)
class Training:
    """What a training reached: the epoch kept (from 1) and its validation accuracy, and that of every epoch."""

    epoch: int
    accuracy: float
    history: tuple[float, ...]


def train(
    model: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    x_val: np.ndarray,
    y_val: np.ndarray,
    *,
    epochs: int = 20,
    seed: int = 0,
    batch: int = 32,
    learning_rate: float = 8e-3,
    progress: Progress | None = None,
) -> Training:
    """Train a model in place; it keeps the weights of the epoch that did best in validation, in evaluation mode.

    The learning rate falls to zero along half a cosine. All randomness (order, dropout) comes from the seed; the
    caller's random state stays as it is.

    Parameters
    ----------
    model : from samples to logits [N, classes].
    x, y : samples (N, ...), uint8, seen as x/255, or float; classes int [N].
    x_val, y_val : the same, not trained on.
    epochs, seed, batch, learning_rate : see above.
    progress : called after every epoch.

    Raises
    ------
    InvalidData
        No samples, or other labels than samples.
    """
    for name, samples, labels in (("training", x, y), ("validation", x_val, y_val)):
        if len(samples) == 0 or np.shape(labels) != (len(samples),):
            raise InvalidData(
                f"Data for {name}: must be samples with a label each, not {len(samples)} with {len(labels)}"
            )
    data = torch.from_numpy(_seen(x)), torch.from_numpy(np.array(y, np.int64))
    validation = torch.from_numpy(_seen(x_val)), torch.from_numpy(np.array(y_val, np.int64))
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best: tuple[float, float] = (-1.0, 0.0)
    kept, epoch_kept, history = {}, 0, []
    with single_threaded(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            run_epoch(model, optimiser, *data, batch)
            schedule.step()
            accuracy, loss = evaluate(model, *validation)
            history.append(accuracy)
            if (accuracy, -loss) > best:
                best, epoch_kept = (accuracy, -loss), epoch
                kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
            if progress is not None:
                progress(epoch, epochs, f"validation accuracy {100 * accuracy:.2f} %")
    if kept:
        model.load_state_dict(kept)
    model.zero_grad(set_to_none=True)
    model.eval()
    return Training(epoch_kept, best[0], tuple(history))


def evaluate(model: nn.Module, x: torch.Tensor, y: torch.Tensor, chunk: int = _CHUNK) -> tuple[float, float]:
    """(accuracy, mean cross entropy) of a model on samples, uint8 or float, in evaluation mode, a chunk at a time."""
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(shown(part)) for part in x.split(chunk)])
    return float((logits.argmax(1) == y).double().mean()), float(nn.functional.cross_entropy(logits, y))


def run_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    batch: int,
    *,
    smoothing: float = 0.0,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    advance: Callable[[], None] | None = None,
) -> float:
    """Take a step for every batch of the samples, in random order; the mean cross entropy on the way.

    Parameters
    ----------
    model, optimiser : what is trained, and by what.
    x, y : samples, uint8 or float, and classes.
    batch : samples of a step.
    smoothing : part of every label that is shared out among all classes.
    augment : what is done to the samples of every batch.
    advance : called after every step.
    """
    model.train()
    total, count = 0.0, 0
    for part in torch.randperm(len(x)).split(batch):
        if len(part) == 1 and len(x) > 1:
            continue  # batch norm has no statistics of one sample
        samples = x[part] if augment is None else augment(x[part])
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(one_output(model, shown(samples)), y[part], label_smoothing=smoothing)
        loss.backward()
        optimiser.step()
        total, count = total + float(loss.detach()) * len(part), count + len(part)
        if advance is not None:
            advance()
    return total / count


def one_output(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a model gives; InvalidNetwork where it is not one tensor, as some models give several while they train."""
    outputs = model(x)
    if isinstance(outputs, torch.Tensor):
        return outputs
    found = f"{type(outputs).__name__}{' in training mode' if model.training else ''}"
    raise InvalidNetwork(
        f"Model '{type(model).__name__}': must have one output to be trained, a tensor, not {found}; "
        f"return the logits alone"
    )


def shown(x: torch.Tensor) -> torch.Tensor:
    """Samples as the model sees them, float32: bytes over 255."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


def _seen(x: np.ndarray) -> np.ndarray:
    """Samples as the model sees them, float32."""
    x = np.asarray(x)
    return x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
