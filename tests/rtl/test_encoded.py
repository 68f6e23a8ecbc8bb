"""Images through the encoder and a chain: every spike and potential equals the golden model's, at the cores' pace."""

from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from recurrent_networks import random_recurrent_network
from spikeloom import Conv2d, NotBuilt, SpikeloomError
from spikeloom.placing.place import place
from spikeloom_sim.encoded import generate_encoded, pixel_vectors, simulate_encoded


@pytest.mark.parametrize("code", ["plain", "naf"])
def test_images_through_the_encoder_equal_the_golden_model(code: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    network = RandomNetwork(rng, (1, 5, 7), 3, code=code).conv(4, Conv2d((3, 3))).readout(3)
    x = rng.integers(0, 256, (30, 1, 5, 7), dtype=np.uint8)
    x[3], x[4] = 0, 255
    result = simulate_encoded(generate_encoded(place(network, lanes=4), tmp_path / "encoded"), x, chunk=20)
    assert (result.samples, result.mismatches, result.first) == (30, 0, None)
    assert result.timing is not None
    assert len(result.timing.intervals) == 30
    assert (result.timing.lower_bound_cycles < result.timing.initiation_interval_cycles).all()


def test_words_of_pixels_are_filled_up_with_black() -> None:
    found = pixel_vectors(np.arange(1, 13, dtype=np.uint8).reshape(2, 1, 2, 3))
    assert [hex(word) for word in found.beats] == ["0x4030201", "0x100000605", "0xa090807", "0x100000c0b"]
    assert found.stops.tolist() == [2, 4]


def test_an_encoder_takes_pixels_only(tmp_path: Path) -> None:
    network = RandomNetwork(np.random.default_rng(3), (2, 1, 1), 3).readout(3)
    design = generate_encoded(place(network), tmp_path / "encoded")
    with pytest.raises(SpikeloomError) as error:
        simulate_encoded(design, np.zeros((2, 2, 1, 1)))
    assert str(error.value) == "Data: must be uint8, pixels, with an encoder in front, not float64"


def test_an_encoder_takes_no_sequences(tmp_path: Path) -> None:
    network = random_recurrent_network(np.random.default_rng(1), sequence=True)
    with pytest.raises(NotBuilt) as error:
        generate_encoded(place(network), tmp_path / "encoded")
    assert str(error.value) == (
        f"Network 'recurrent': must take a value a pixel with an encoder in front, not {network.inputs[0].sequence} "
        "time steps of them; simulate it from its events, by `simulate`"
    )
    assert not (tmp_path / "encoded").exists()
