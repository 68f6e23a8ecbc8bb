"""A training on its way from epoch to epoch, and what it came to."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as to_safetensors
from spikeloom.errors import InvalidNetwork
from spikeloom.storage import write_whole
from spikeloom.threads import single_threaded
from torch import nn

from ..activations import ThresholdReLU
from ..models.origin import Origin
from ..samples import augmented
from . import checkpoint
from .checkpoint import State
from .classifier import Progress, evaluate, run_epoch
from .history import Epoch, best
from .recipe import Recipe, method_of, noisy
from .residual import residual

_CHUNK = 250  # samples that are evaluated at a time
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What a training came to.

    Members
    -------
    model : with the weights of the epoch that is kept, in evaluation mode.
    origin : which network it is.
    recipe : how it was trained, all defaults filled in.
    epoch : the one that is kept, from 1.
    history : of all epochs.
    """

    model: nn.Module
    origin: Origin
    recipe: Recipe
    epoch: int
    history: tuple[Epoch, ...]

    @property
    def reached(self) -> Epoch:
        """The epoch that is kept."""
        return self.history[self.epoch - 1]

    @property
    def seconds_per_epoch(self) -> float:
        """Mean of all epochs, validation included."""
        return sum(epoch.seconds for epoch in self.history) / len(self.history)

    def test(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float | None]:
        """Accuracy of the model on samples it has not seen, and of the spiking network where tau is set."""
        x, y = np.asarray(x), np.array(y, np.int64)
        x = np.array(x, np.uint8 if x.dtype == np.uint8 else np.float32)  # one that may be written to, for PyTorch
        with single_threaded():
            accuracy = evaluate(self.model, torch.from_numpy(x), torch.from_numpy(y), _CHUNK)[0]
            if self.recipe.tau is None:
                return accuracy, None
            return accuracy, residual(self.model, x, y, method_of(self.model), self.recipe.tau).accuracy

    def save(self, path: str | Path) -> None:
        """Write the weights, with what `load_trained` needs to make the network again."""
        training = {
            **asdict(self.recipe),
            "epoch": self.epoch,
            "accuracy": self.reached.accuracy,
            "snn_accuracy": self.reached.snn_accuracy,
        }
        state = {name: value.contiguous().clone() for name, value in self.model.state_dict().items()}
        write_whole(Path(path), to_safetensors(state, metadata=self.origin.metadata(training)))


class Trainer:
    """A training: what it needs, and how far it is.

    Parameters
    ----------
    model : trained in place.
    origin : of the model.
    recipe : how to.
    x, y : samples and classes, all that may be trained on and validated with.
    output : file of the trained weights, None for none.
    progress : called after every step.
    """

    def __init__(
        self,
        model: nn.Module,
        origin: Origin,
        recipe: Recipe,
        x: np.ndarray,
        y: np.ndarray,
        output: Path | None,
        progress: Progress | None,
    ) -> None:
        self.model, self.origin, self.recipe, self.output, self.progress = model, origin, recipe, output, progress
        held, used = np.split(np.random.default_rng(recipe.seed).permutation(len(x)), [recipe.validation])
        held, used = np.sort(held), np.sort(used)
        x = x if x.dtype == np.uint8 else x.astype(np.float32)
        y = y.astype(np.int64)
        self.x, self.y = torch.from_numpy(x[used]), torch.from_numpy(y[used])
        self.x_val, self.y_val = x[held], y[held]
        self.configuration = {
            "model": origin.model,
            "width": origin.width,
            **origin.parameters,
            **asdict(recipe),
            "data": hashlib.sha256(f"{x.dtype} {x.shape}".encode() + x.tobytes() + y.tobytes()).hexdigest()[:16],
        }
        parameters, rate, decay = model.parameters(), recipe.learning_rate, recipe.weight_decay
        self.optimiser: torch.optim.Optimizer
        if recipe.optimiser == "adam":
            # the same bits as one tensor after the other, in half of the time
            self.optimiser = torch.optim.Adam(parameters, rate, weight_decay=decay, foreach=True)
        else:
            self.optimiser = torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay)
        self.kept: dict[str, torch.Tensor] = {}
        self.history: tuple[Epoch, ...] = ()

    def run(self, resume: bool) -> TrainedNetwork:
        """All epochs that are left."""
        torch.manual_seed(self.recipe.seed)
        self._strengthen()
        if self.output is not None and resume and checkpoint.path_of(self.output).exists():
            self._go_on(checkpoint.path_of(self.output))
        while len(self.history) < self.recipe.epochs:
            self._epoch()
        self.model.load_state_dict(self.kept)
        self.model.zero_grad(set_to_none=True)
        self.model.eval()
        result = self._result()
        if self.output is not None:
            result.save(self.output)
        return result

    def _strengthen(self) -> None:
        """Weights to start with, all layers' but the last one's."""
        weighted = [module for module in self.model.modules() if isinstance(module, _WEIGHTED)]
        with torch.no_grad():
            for module in weighted[:-1]:
                module.weight.mul_(self.recipe.gain)

    def _go_on(self, path: Path) -> None:
        who, state = f"Checkpoint '{path}'", checkpoint.read(path, self.configuration)
        try:
            if best(state.history) is not None:
                self.model.load_state_dict(state.kept)  # so that they are known to fit
            self.model.load_state_dict(state.model)
            checkpoint.remind(self.optimiser, state.optimiser)
            torch.set_rng_state(state.random)
        except (RuntimeError, ValueError, TypeError):
            raise InvalidNetwork(f"{who}: must be whole and as it was written; {checkpoint.ANEW}") from None
        self.kept, self.history = state.kept, state.history

    def _epoch(self) -> None:
        """One epoch, its validation, and the checkpoint behind it."""
        recipe, number, start = self.recipe, len(self.history), time.monotonic()
        rate = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * number / recipe.epochs))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        plain = number < recipe.plain_epochs
        for module in self.model.modules():
            if isinstance(module, ThresholdReLU):
                module.plain.fill_(plain)
        loss = run_epoch(
            self.model,
            self.optimiser,
            self.x,
            self.y,
            recipe.batch,
            smoothing=recipe.smoothing,
            augment=augmented if recipe.augment else None,
            advance=self._counter(),
        )
        x_val, y_val = torch.from_numpy(self.x_val), torch.from_numpy(self.y_val)
        accuracy, validation_loss = evaluate(self.model, x_val, y_val, _CHUNK)
        if not math.isfinite(loss + validation_loss):
            raise InvalidNetwork(
                f"Training: loss must stay finite, which it does not in epoch {number + 1}; "
                f"choose a learning rate below {recipe.learning_rate:g}"
            )
        snn, deltas = self._spiking()
        seconds = time.monotonic() - start
        self.history += (Epoch(rate, loss, validation_loss, accuracy, snn, seconds, plain, deltas),)
        if best(self.history) == len(self.history):
            self.kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self._write()

    def _spiking(self) -> tuple[float | None, dict[str, float]]:
        """Accuracy of the spiking network, and the noise that each layer has from now on."""
        if self.recipe.tau is None:
            return None, {}
        found = residual(self.model, self.x_val, self.y_val, method_of(self.model), self.recipe.tau)
        layers = noisy(self.model)
        for path, module in layers.items():
            module.delta.fill_(found.deviations.get(path, 0.0))
        return found.accuracy, {path: float(module.delta) for path, module in layers.items()}

    def _write(self) -> None:
        if self.output is None:
            return
        state = State(
            dict(self.model.state_dict()),
            self.kept,
            checkpoint.remembered(self.optimiser),
            torch.get_rng_state(),
            self.history,
        )
        checkpoint.write(checkpoint.path_of(self.output), state, self.configuration)
        if best(self.history) == len(self.history):
            self._result().save(self.output)

    def _result(self) -> TrainedNetwork:
        """With the weights the model has: those of the best epoch."""
        number = best(self.history)
        assert number is not None  # the last epoch is never plain
        return TrainedNetwork(self.model, self.origin, self.recipe, number, self.history)

    def _counter(self) -> Callable[[], None] | None:
        """Tells after every step what is done."""
        if self.progress is None:
            return None
        progress, recipe = self.progress, self.recipe
        a_pass = len(self.x) // recipe.batch + (len(self.x) % recipe.batch > 1)
        done, total = a_pass * len(self.history), a_pass * recipe.epochs
        text = f"epoch {len(self.history) + 1} of {recipe.epochs}"
        if self.history:
            text += f", validation accuracy {100 * self.history[-1].merit[0]:.2f} %"

        def advance() -> None:
            nonlocal done
            done += 1
            progress(done, total, text)

        return advance
