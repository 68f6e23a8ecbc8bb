"""Frames of the link: COBS, CRC, and a framer that finds every good frame among anything."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom.link.frames import Framer, Loss, Losses, cobs_decode, cobs_encode, frame

HARD = settings(max_examples=300, deadline=None, derandomize=True)
# runs around the 254 bytes of a full group
LONG = st.lists(st.sampled_from([b"\0", b"\1" * 253, b"\2" * 254, b"\xff" * 255, b"\3"]), max_size=6).map(b"".join)
DATA = st.binary(max_size=600) | LONG
BODY = st.binary(min_size=2, max_size=40)


@HARD
@given(DATA)
def test_coded_bytes_hold_no_zero_and_come_back(data: bytes) -> None:
    coded = cobs_encode(data)
    assert 0 not in coded
    assert len(coded) <= len(data) + 1 + len(data) // 254
    assert cobs_decode(coded) == data


@pytest.mark.parametrize(
    ("data", "coded"),
    [
        (b"", b"\1"),
        (b"\0", b"\1\1"),
        (b"\0\0", b"\1\1\1"),
        (b"\x11\x22\0\x33", b"\3\x11\x22\2\x33"),
        (b"\1" * 254, b"\xff" + b"\1" * 254),
        (b"\0" + b"\1" * 254, b"\1\xff" + b"\1" * 254),
        (b"\1" * 255, b"\xff" + b"\1" * 254 + b"\2\1"),
        (b"\1" * 254 + b"\0", b"\xff" + b"\1" * 254 + b"\1\1"),
        (b"\1" * 253 + b"\0", b"\xfe" + b"\1" * 253 + b"\1"),
    ],
)
def test_examples_of_cheshire_and_baker(data: bytes, coded: bytes) -> None:
    assert cobs_encode(data) == coded


def test_a_full_group_may_be_followed_by_a_last_empty_one() -> None:
    assert cobs_decode(b"\xff" + b"\1" * 254 + b"\1") == b"\1" * 254


@pytest.mark.parametrize("coded", [b"\2", b"\3\1", b"\2\1\0", b"\3\0\1", b"\xff" + b"\1" * 253])
def test_groups_that_are_not_whole_are_refused(coded: bytes) -> None:
    with pytest.raises(ValueError, match=r"^COBS: groups must be whole and without zeros, not so from byte \d of \d+$"):
        cobs_decode(coded)


@HARD
@given(st.lists(BODY, max_size=5), st.data())
def test_bodies_come_in_order_whatever_the_portions(bodies: list[bytes], data: st.DataObject) -> None:
    line = b"".join(frame(body) + bytes(data.draw(st.integers(0, 2))) for body in bodies)
    framer, got = Framer(40), []
    while line:
        size = data.draw(st.integers(1, len(line)))
        got += framer.feed(line[:size])
        line = line[size:]
    assert got == bodies
    assert framer.losses == Losses()


@HARD
@given(st.binary(max_size=200), BODY)
def test_after_anything_a_zero_brings_the_framer_back_in_step(garbage: bytes, body: bytes) -> None:
    framer = Framer(40)
    framer.feed(garbage)
    assert framer.feed(b"\0" + frame(body))[-1:] == [body]


@HARD
@given(BODY, st.data())
def test_no_frame_with_one_changed_byte_gets_through(body: bytes, data: st.DataObject) -> None:
    line = bytearray(frame(body))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    framer = Framer(40)
    assert framer.feed(bytes(line) + b"\0") == []
    assert framer.losses.damaged >= 1


def test_silence_within_a_frame_cuts_it_and_the_next_is_taken() -> None:
    framer = Framer(40, timeout_s=0.05)
    line = frame(b"abcdef")
    framer.feed(line[:4])
    framer.wait(0.04)
    assert framer.feed(line[4:]) == [b"abcdef"]
    framer.feed(line[:4])
    framer.wait(0.03)
    framer.wait(0.02)
    assert framer.feed(line) == [b"abcdef"]
    assert framer.losses == Losses(cut=1)


def test_silence_between_frames_costs_nothing() -> None:
    framer = Framer(40)
    framer.wait(10)
    assert framer.feed(frame(b"ab")) == [b"ab"]
    assert framer.losses == Losses()


def test_error_of_the_line_cuts_a_frame_and_skips_up_to_the_next_zero() -> None:
    framer = Framer(40)
    line = frame(b"abcdef")
    framer.feed(line[:4])
    framer.line_error()
    framer.line_error()
    assert framer.feed(line[4:] + line) == [b"abcdef"]
    framer.line_error()
    framer.wait(1)
    assert framer.feed(line) == [b"abcdef"]
    assert framer.losses == Losses(cut=2)


@pytest.mark.parametrize("byte", [b"\0", b"\1"])
def test_frames_that_are_too_long_are_dropped_at_the_first_byte_too_many(byte: bytes) -> None:
    framer = Framer(300)
    assert framer.feed(frame(byte * 302)) == [byte * 302]
    assert framer.losses == Losses()
    coded = frame(byte * 303)
    assert framer.feed(coded[:-2]) == []
    assert framer.losses == Losses()
    assert framer.feed(coded[-2:-1]) == []
    assert framer.losses == Losses(damaged=1)
    assert framer.feed(coded[-1:]) == []
    assert framer.feed(frame(b"ab")) == [b"ab"]
    assert framer.losses == Losses(damaged=1)


@pytest.mark.parametrize("size", range(6))
def test_frames_without_a_header_are_damaged_even_with_their_crc(size: int) -> None:
    framer = Framer(40)
    body = bytes(max(size - 4, 0))
    assert framer.feed(cobs_encode((body + zlib.crc32(body).to_bytes(4, "little"))[-size or 99 :]) + b"\0") == []
    assert framer.losses == Losses(damaged=1)


def test_counts_of_losses_end_at_255() -> None:
    losses = Losses(crowded=254)
    assert losses.add(Loss.CROWDED).add(Loss.CROWDED) == Losses(crowded=255)


@pytest.mark.parametrize("size", [256, 512, 1024, 4096])
def test_frames_of_256_bytes_and_more_cost_at_most_five_percent(size: int) -> None:
    for byte in range(256):
        assert len(frame(bytes((0x13, byte)) + bytes((byte,)) * size)) + 1 <= 1.05 * size
