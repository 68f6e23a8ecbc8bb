"""Models from outside: factories by name, files of weights, and the networks that come with Spikeloom."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from convert_models import pixels
from safetensors.torch import save_file
from spikeloom.errors import InvalidNetwork
from spikeloom_convert import convert, load_model
from spikeloom_convert.models import digits_cnn, is_untrained, mlp, mnist_cnn, mnist_mlp
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

MLP = "spikeloom_convert.models:mnist_mlp"


@pytest.mark.parametrize(
    ("factory", "shape"), [(digits_cnn, (1, 8, 8)), (mnist_mlp, (1, 28, 28)), (mnist_cnn, (1, 28, 28))]
)
def test_networks_that_come_along_can_be_converted(factory, shape) -> None:
    network = convert(factory(), pixels(12, *shape))
    assert network.populations[-1].shape == (10, 1, 1)
    weighted = [name for name, layer in factory().named_children() if hasattr(layer, "weight")]
    assert [item.name for item in network.populations] == weighted


def test_factories_give_the_same_weights_every_time_and_leave_the_random_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, second, other = mnist_mlp(), mnist_mlp(), mnist_mlp(seed=1)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first.fc1.weight, second.fc1.weight)
    assert not torch.equal(first.fc1.weight, other.fc1.weight)


def test_weights_that_a_factory_draws_anew_are_untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drawn.py").write_text(
        "import torch\nfrom torch import nn\ndef random(): return nn.Linear(2, 2)\n"
        "def fixed():\n    torch.manual_seed(0)\n    return nn.Linear(2, 2)\n"
        "def empty(): return nn.LazyLinear(2)\nmade = []\n"
        "def once():\n    if made: raise RuntimeError\n    made.append(1)\n    return nn.Linear(2, 2)\n"
    )
    names = ("drawn:random", "drawn:fixed", "drawn:empty", "drawn:once", MLP, "net1", "net1:strelu")
    assert [name for name in names if is_untrained(name, load_model(name))] == ["drawn:random", "net1", "net1:strelu"]


def test_mlp_takes_any_sizes() -> None:
    model = mlp(784, 300, 100, 10, batch_norm=True)
    assert [type(layer).__name__ for layer in model] == [
        "Flatten", "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["safetensors", "state dict", "checkpoint", "wrapped", "lightning", "old", "half"])
def test_weights_come_from_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    trained, path = mnist_mlp(seed=7), tmp_path / "weights"
    state = trained.state_dict()
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "state dict":
        torch.save(state, path)
    elif kind == "checkpoint":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif kind == "wrapped":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    elif kind == "lightning":
        wrapped = {f"model.net.{name}": value for name, value in state.items()}
        torch.save({"epoch": 3, "state_dict": wrapped | {"loss.weight": torch.ones(3)}}, path)
    elif kind == "old":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        state = {name: value.half().float() for name, value in state.items()}
        torch.save({"model": {name: value.half() for name, value in state.items()}}, path)
    model = load_model(MLP, path)
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_weights_that_were_pruned_or_normalised_are_multiplied_out(tmp_path: Path) -> None:
    trained, path, sample = mnist_mlp(seed=7), tmp_path / "weights", torch.rand(1, 784)
    prune.l1_unstructured(trained.fc1, "weight", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in many a checkpoint
        weight_norm(trained.fc2)
    torch.save(trained.state_dict(), path)
    assert torch.allclose(load_model(MLP, path)(sample), trained(sample), atol=1e-6)
    trained = mnist_mlp(seed=7)
    parametrizations.weight_norm(trained.fc2)
    torch.save(trained.state_dict(), path)
    assert torch.allclose(load_model(MLP, path)(sample), trained(sample), atol=1e-6)


def test_weights_of_two_models_in_one_file_are_refused(tmp_path: Path) -> None:
    state = mnist_mlp().state_dict()
    torch.save({f"{half}.{name}": value for half in ("net", "ema") for name, value in state.items()}, tmp_path / "w")
    assert refusal(tmp_path / "w") == (
        f"Weights '{tmp_path / 'w'}': must hold model '{MLP}' once, not behind 'net.' and 'ema.'; leave one in the file"
    )


def test_factories_may_wrap_their_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrapped_factory.py").write_text(
        "from torch import nn\nmake = lambda: nn.DataParallel(nn.Sequential(nn.Linear(2, 3)))\n"
    )
    monkeypatch.chdir(tmp_path)
    state = nn.Sequential(nn.Linear(2, 3)).state_dict()
    torch.save(state, "w.pt")
    assert torch.equal(load_model("wrapped_factory:make", "w.pt")[0].weight, state["0.weight"])


def test_counters_of_batch_norms_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "bn_factory.py").write_text("from torch import nn\nmake = lambda: nn.BatchNorm1d(3)\n")
    state = nn.BatchNorm1d(3).state_dict()
    del state["num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert isinstance(load_model("bn_factory:make", tmp_path / "w.pt"), nn.BatchNorm1d)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "def good(): return nn.Linear(2, 3)\n"
        "def picky(size): return nn.Linear(size, 3)\n"
        "def text(): return 'a model'\n"
        "number = 3\n"
        "model = nn.Linear(2, 3)\n"
    )
    (tmp_path / "broken_nets.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("my_nets", "broken_nets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_factories_of_the_current_folder_are_found(here: Path) -> None:
    before = list(sys.path)
    assert isinstance(load_model("my_nets:good"), nn.Linear)
    assert sys.path == before


FACTORIES = {
    "my_nets": "must be package.module:factory, such as spikeloom_convert.models:mnist_mlp",
    "my_nets:": "must be package.module:factory, such as spikeloom_convert.models:mnist_mlp",
    "no_nets:good": "module 'no_nets' must be importable from here (ModuleNotFoundError: No module named 'no_nets')",
    "broken_nets:f": "module 'broken_nets' must be importable from here "
    "(SyntaxError: invalid syntax (broken_nets.py, line 1))",
    "my_nets:missing": "module 'my_nets' must have a function or class 'missing'",
    "my_nets:number": "'number' must be a function or class that makes the model, not int",
    "my_nets:model": "'model' must be a function or class that makes the model, not Linear",
    "my_nets:text": "'text' must make a torch.nn.Module, not str",
    "my_nets:picky": "'picky' must work without arguments "
    "(TypeError: picky() missing 1 required positional argument: 'size')",
}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_factory_that_is_none_is_refused(name: str, here: Path) -> None:
    with pytest.raises(InvalidNetwork) as error:
        load_model(name)
    assert str(error.value) == f"Model '{name}': {FACTORIES[name]}"


def refusal(path: Path, name: str = MLP) -> str:
    with pytest.raises(InvalidNetwork) as error:
        load_model(name, path)
    return str(error.value)


def test_weights_that_do_not_go_with_the_model_are_listed(here: Path) -> None:
    torch.save({"weight": torch.zeros(2, 2), "gain": torch.zeros(1)}, "w.pt")
    assert refusal(Path("w.pt"), "my_nets:good") == (
        "Weights 'w.pt': must go with model 'my_nets:good': 'bias' missing; 'gain' not in the model; "
        "'weight' must have shape (3, 2), not (2, 2)"
    )


def test_files_that_hold_no_weights_are_refused(here: Path) -> None:
    assert refusal(Path("none.pt")) == "Weights 'none.pt': cannot be read: No such file or directory"
    assert refusal(here.parent) == f"Weights '{here.parent}': cannot be read: Is a directory"
    torch.save(mnist_mlp(), "model.pt")
    assert refusal(Path("model.pt")) == (
        "Weights 'model.pt': must hold tensors only, not objects; save model.state_dict()"
    )
    torch.save([1, 2], "list.pt")
    assert refusal(Path("list.pt")) == "Weights 'list.pt': must map names to tensors; save model.state_dict()"


@pytest.mark.parametrize("kind", ["nothing", "text", "half a checkpoint", "half a safetensors file"])
def test_damaged_files_are_refused(kind: str, here: Path) -> None:
    path = Path("w.pt")
    if kind == "half a checkpoint":
        torch.save(mnist_mlp().state_dict(), path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "half a safetensors file":
        save_file(mnist_mlp().state_dict(), path)
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.write_bytes(b"" if kind == "nothing" else b"import os\n" * 100)
    message = refusal(path)
    assert message == (
        "Weights 'w.pt': must be a whole safetensors file or a state dict saved by torch.save, not damaged or of "
        "another kind; copy it anew, or save model.state_dict()"
    )


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript_is_no_file_of_weights_and_torch_never_opens_it(how: str, here: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.warns(DeprecationWarning, match=f"torch.jit.{how}"):
        made = torch.jit.script(model) if how == "script" else torch.jit.trace(model, torch.zeros(1, 2))
    made.save("w.pt")
    assert refusal(Path("w.pt")) == (
        "Weights 'w.pt': must be a state dict, not TorchScript; save model.state_dict() instead"
    )
