"""Samples become codes by one rule, and data that cannot be used is refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom import Input, InvalidData
from spikeloom.encoding import as_samples, codes_of, encode, event_counts, spikes_of

SOURCE = Input("input", (2, 3, 4), 4, scale=1 / 16)


def source(timesteps: int, *, low: float = 0.0, high: float = 1.0) -> Input:
    return Input("input", (1, 1, 1), timesteps, scale=1.0, low=low, high=high)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 16), st.floats(-10, 10), st.floats(2.0**-10, 100), st.floats(-30, 30))
def test_floats_are_cut_to_the_floor_of_their_level_and_clipped(steps: int, low: float, width: float, x: float) -> None:
    high = low + width
    code = encode(source(steps, low=low, high=high), np.array([[x]]))
    level = np.floor((x - low) / (high - low) * 2**steps)
    assert code.item() == min(max(level, 0), 2**steps - 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_pixel_over_256_gives_the_code_of_the_pixel(dtype: type) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    for steps in range(1, 17):
        codes = encode(source(steps), pixels)
        np.testing.assert_array_equal(codes, encode(source(steps), (pixels / 256).astype(dtype)))
        assert codes.dtype == (np.uint8 if steps <= 8 else np.uint16)
        assert codes.max() == 255 << steps >> 8


@pytest.mark.parametrize("timesteps", [1, 4, 8, 16])
def test_signed_codes_are_the_nearest_and_zero_stays_zero(timesteps: int) -> None:
    signed = Input("input", (1, 1, 1), timesteps, scale=1.0, low=-2.0, high=2.0, signed=True)
    levels, top = 1 << timesteps, (1 << timesteps) - 1
    x = np.linspace(-2.5, 2.5, 4001).reshape(-1, 1)
    codes = encode(signed, x)
    nearest = [int(np.sign(v)) * min(int(abs(v) / 2 * levels + 0.5), top) for v in x.ravel()]
    assert codes.ravel().tolist() == nearest
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(encode(signed, -x), -codes)
    assert encode(signed, np.array([[0.0], [-9.0], [9.0]])).ravel().tolist() == [0, -top, top]
    spikes = spikes_of(codes, timesteps)
    np.testing.assert_array_equal(codes_of(spikes, 2.0), codes)
    np.testing.assert_array_equal(spikes, np.sign(codes)[:, None] * spikes_of(abs(codes), timesteps))
    np.testing.assert_array_equal(event_counts(codes), abs(spikes).sum(1))


def test_pixels_have_no_sign_and_are_refused_by_a_signed_input() -> None:
    signed = Input("input", (1, 1, 1), 4, scale=1.0, low=-1.0, high=1.0, signed=True)
    with pytest.raises(InvalidData) as error:
        encode(signed, np.zeros((1, 1), np.uint8))
    assert str(error.value) == (
        "Data for 'input': must be floats in [-1.0, 1.0], as in calibration, not uint8; convert it in the same way"
    )


def test_floats_far_beyond_the_range_are_clipped_without_a_warning() -> None:
    largest = np.finfo(np.float64).max
    x = np.array([[-largest], [largest]])
    assert encode(source(16, low=-largest / 4, high=largest / 4), x).ravel().tolist() == [0, 65535]
    assert encode(source(16, low=-1.0), x).ravel().tolist() == [0, 65535]


def test_pixels_as_floats_of_0_to_255_are_refused_and_values_a_little_outside_are_clipped() -> None:
    pixels = np.array([[0.0, 128.0, 255.0]] * 8).reshape(-1, 1)
    expected = (
        "Data for 'input': must be floats in [0, 1], as in calibration, not up to 255; divide pixels by 255 or give "
        "uint8"
    )
    sequence = Input("input", (1, 1, 1), 8, scale=1.0, sequence=24)
    for taken, x in ((source(8), pixels), (sequence, pixels.reshape(1, 24))):
        with pytest.raises(InvalidData) as error:
            encode(taken, x)
        assert str(error.value) == expected
    assert encode(source(8), np.array([[-1.5], [1.1], [2.0]])).ravel().tolist() == [0, 255, 255]
    assert encode(source(8, high=255.0), pixels[:3]).ravel().tolist() == [0, 128, 255]
    assert encode(source(8), np.array([[0.25], [0.5], [50.0]])).ravel().tolist() == [64, 128, 255]  # an outlier
    wide = Input("input", (1, 1, 1), 8, scale=1.0, low=-1.0, high=1.0, signed=True)
    assert encode(wide, np.array([[255.0]])).item() == 255


def test_images_without_a_channel_are_grey_ones_where_the_input_is_grey() -> None:
    grey = Input("input", (1, 3, 4), 4, scale=1 / 16)
    x = np.random.default_rng(0).random((5, 3, 4))
    np.testing.assert_array_equal(encode(grey, x), encode(grey, x[:, None]))
    assert as_samples("x", x).shape == (5, 3, 1, 4)  # sequences, where nothing is known of the input


def test_encoding_does_not_touch_the_samples() -> None:
    pixels = np.full((1, 1), 200, np.uint8)
    pixels.setflags(write=False)
    codes = encode(source(8), pixels)
    codes[:] = 0
    assert pixels.item() == 200


@pytest.mark.parametrize("timesteps", [1, 5, 16])
def test_spikes_and_codes_are_inverse_most_significant_first(timesteps: int) -> None:
    codes = np.random.default_rng(0).integers(0, 1 << timesteps, (7, 2, 3, 1))
    spikes = spikes_of(codes, timesteps)
    assert spikes.shape == (7, timesteps, 2, 3, 1)
    assert spikes.dtype == np.int8
    np.testing.assert_array_equal(spikes[:, 0], codes >> (timesteps - 1))
    np.testing.assert_array_equal(codes_of(spikes, 2.0), codes)
    np.testing.assert_array_equal(codes_of(spikes, 1.0), spikes.sum(1))


@pytest.mark.parametrize("timesteps", range(1, 17))
def test_minimal_weight_code_is_the_only_one_without_neighbouring_digits(timesteps: int) -> None:
    codes = np.arange(1 << timesteps)
    digits = spikes_of(codes, timesteps, "naf")
    assert digits.shape == (1 << timesteps, timesteps + 1)
    assert digits.dtype == np.int8
    np.testing.assert_array_equal(codes_of(digits, 2.0), codes)
    assert set(np.unique(digits).tolist()) <= {-1, 0, 1}
    assert not (digits[:, 1:] * digits[:, :-1]).any()  # a number has one non-adjacent form, so this is all there is
    np.testing.assert_array_equal(event_counts(codes, "naf"), (digits != 0).sum(1))
    np.testing.assert_array_equal(event_counts(codes), spikes_of(codes, timesteps).sum(1))
    assert (event_counts(codes, "naf") <= event_counts(codes)).all()


def test_minimal_weight_code_of_single_codes() -> None:
    codes = np.array([[0, 1, 3, 6], [7, 11, 13, 15]])
    assert spikes_of(codes, 4, "naf").transpose(0, 2, 1).tolist() == [
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, -1], [0, 1, 0, -1, 0]],
        [[0, 1, 0, 0, -1], [1, 0, -1, 0, -1], [1, 0, -1, 0, 1], [1, 0, 0, 0, -1]],
    ]
    np.testing.assert_array_equal(spikes_of(codes.astype(np.uint8), 4, "naf"), spikes_of(codes, 4, "naf"))


@pytest.mark.parametrize(
    ("given_shape", "shape", "expected"),
    [
        ((5, 2, 3, 4), (2, 3, 4), (5, 2, 3, 4)),
        ((5, 24), (2, 3, 4), (5, 2, 3, 4)),
        ((5, 7), (7, 1, 1), (5, 7, 1, 1)),
        ((5, 7), None, (5, 7, 1, 1)),
        ((5, 3, 8), (3, 1, 8), (5, 3, 1, 8)),
        ((5, 3, 8), None, (5, 3, 1, 8)),
        ((0, 2, 3, 4), (2, 3, 4), (0, 2, 3, 4)),
    ],
)
def test_samples_take_the_shape_of_the_input(
    given_shape: tuple[int, ...], shape: tuple[int, int, int] | None, expected: tuple[int, ...]
) -> None:
    x = np.arange(np.prod(given_shape), dtype=np.float64).reshape(given_shape)
    samples = as_samples("input", x, shape)
    assert samples.shape == expected
    np.testing.assert_array_equal(samples.ravel(), x.ravel())


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.zeros((5, 2, 4, 3)), "must have shape (N, 2, 3, 4), not (5, 2, 4, 3)"),
        (np.zeros((5, 6, 4)), "must have shape (N, 2, 3, 4), not (5, 6, 4)"),
        (np.zeros((5, 23)), "must have 24 values a sample, not 23"),
        (np.zeros(24), "must have shape (N, 2, 3, 4), not (24,)"),
        (np.zeros(()), "must have shape (N, 2, 3, 4), not ()"),
        (np.zeros((5, 24), np.int64), "must be uint8 or float, not int64; convert it with astype"),
        (np.zeros((5, 24), bool), "must be uint8 or float, not bool; convert it with astype"),
        (np.full((5, 24), np.nan), "must be finite, not NaN or infinite (120 values)"),
        (np.array([[np.inf] + [0.0] * 23]), "must be finite, not NaN or infinite (1 values)"),
    ],
    ids=str,
)
def test_data_that_cannot_be_used_is_refused(x: np.ndarray, expected: str) -> None:
    with pytest.raises(InvalidData) as error:
        encode(SOURCE, x)
    assert str(error.value) == f"Data for 'input': {expected}"


def test_pixels_for_an_input_of_another_range_are_refused() -> None:
    with pytest.raises(InvalidData) as error:
        encode(source(4, low=-1.0, high=2.0), np.zeros((1, 1), np.uint8))
    assert str(error.value) == (
        "Data for 'input': must be floats in [-1.0, 2.0], as in calibration, not uint8; convert it in the same way"
    )
