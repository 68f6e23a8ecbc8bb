"""The cocotb benches of the wrapper: exact answers with pauses, resets, bad packets, registers."""

from typing import Any

import cocotb
from axi_side import Bench, pauses
from cocotb.triggers import First, RisingEdge, Timer
from cocotbext.axi import AxiResp, AxiStreamFrame

LIMIT = {"timeout_time": 4, "timeout_unit": "ms"}
RESET, RESTART = 1, 2
SHORT, LONG, WRONG_EVENT = 1, 2, 4


async def _poll(bench: Bench) -> None:
    """Read registers all the time."""
    names = sorted(bench.offsets)
    while True:
        await bench.read(bench.rng.choice(names))


@cocotb.test(**LIMIT)
async def answers_are_exact(dut: Any) -> None:
    """Samples back to back, pauses everywhere, registers read meanwhile; then the counters."""
    bench = await Bench(dut).start()
    polling = cocotb.start_soon(_poll(bench))
    await bench.cycles(5)  # the reset is over, and with it what is not counted
    numbers = 3 * list(range(len(bench.packets)))  # more than the queues in front of the core hold
    for number in numbers:
        bench.source.send_nowait(AxiStreamFrame(bench.packets[number]))
    for number in numbers:
        got = await bench.received()
        assert got == bench.wanted(number), f"sample {number}: {got}, not {bench.wanted(number)}"
    polling.cancel()
    await bench.master.wait()
    await bench.cycles(50)
    assert bench.sink.empty()
    watch = bench.watch
    counters = {
        "SAMPLES": len(numbers),
        "BAD_SAMPLES": 0,
        "ERRORS": 0,
        "STATUS": 0,
        "EVENTS": 3 * sum(bench.job["events"]),
        "CYCLES": watch.cycles,
        "INPUT_STALLS": watch.input_stalls,
        "OUTPUT_STALLS": watch.output_stalls,
    } | {f"CLASS{n}": value for n, value in enumerate(bench.job["classes"][-1])}
    for name, value in counters.items():
        found = await bench.read(name)
        assert found == value, f"{name}: {found}, not {value}"
    assert watch.input_stalls > 0 < watch.output_stalls


@cocotb.test(**LIMIT)
async def one_by_one(dut: Any) -> None:
    """No pauses; each sample into an idle core, and its counters before the next one."""
    bench = await Bench(dut).start(pause=False)
    for number, packet in enumerate(bench.packets):
        assert await bench.read("STATUS") == 0
        await bench.source.send(AxiStreamFrame(packet))
        assert await bench.received() == bench.wanted(number)
        await bench.cycles(2)
        assert await bench.read("SAMPLES") == number + 1
        assert await bench.read("CYCLES") == bench.watch.cycles
        assert await bench.read("CLASS0") == bench.job["classes"][number][0]


@cocotb.test(**LIMIT)
async def valid_does_not_wait_for_ready(dut: Any) -> None:
    """Nobody is ready: every answer is offered all the same."""
    bench = await Bench(dut).start(pause=False)
    for channel in (bench.sink, bench.master.write_if.b_channel, bench.master.read_if.r_channel):
        channel.pause = True
    bench.source.send_nowait(AxiStreamFrame(bench.packets[0]))
    reading = cocotb.start_soon(bench.read("MAGIC"))
    writing = cocotb.start_soon(bench.write("ERRORS", 0))
    for valid in (dut.s_axil_rvalid, dut.s_axil_bvalid, dut.m_axis_tvalid):
        if not valid.value:
            await First(RisingEdge(valid), Timer(100, "us"))
        assert valid.value, f"{valid._name} waits for its ready"
    for channel in bench.channels:
        channel.pause = False
    assert await reading == int.from_bytes(b"LOOM", "little")
    await writing
    assert await bench.received() == bench.wanted(0)


def _spoiled(bench: Bench, packet: bytes) -> tuple[AxiStreamFrame, int]:
    """A packet that is wrong in some way, or padded, and the flags it raises."""
    rng, size = bench.rng, len(packet)
    noise = rng.randbytes
    kind = rng.choice(["good", "padded", "beat", "short", "cut", "hole", "longer", "long"])
    whole = 4 * (-(-size // 4))
    if kind == "beat":  # a single beat
        return AxiStreamFrame(packet[:4]), SHORT
    if kind == "short":
        return AxiStreamFrame(packet[: rng.randrange(1, size)]), SHORT
    if kind == "cut":  # one byte
        return AxiStreamFrame(packet[:-1]), SHORT
    if kind == "hole":
        kept = [1] * size
        kept[rng.randrange(size)] = 0
        return AxiStreamFrame(packet, kept), SHORT
    if kind == "longer":  # one beat
        return AxiStreamFrame(packet + noise(whole - size + 1)), LONG
    if kind == "long":
        return AxiStreamFrame(packet + noise(whole - size + rng.randrange(1, 100))), LONG
    if kind == "padded":
        return AxiStreamFrame(packet + noise(whole - size)), 0
    return AxiStreamFrame(packet), 0


@cocotb.test(**LIMIT)
async def bad_packets_do_not_leak(dut: Any) -> None:
    """Packets of all lengths: one answer each, the good ones exact, the others marked."""
    bench = await Bench(dut).start()
    wrong, number_bad = [], 0
    for number in range(4 * len(bench.packets)):
        frame, flags = _spoiled(bench, bench.packets[number % len(bench.packets)])
        wrong.append(flags)
        bench.source.send_nowait(frame)
    assert set(wrong) == {0, SHORT, LONG}
    for number, flags in enumerate(wrong):
        got, want = await bench.received(), bench.wanted(number % len(bench.packets))
        if flags:
            number_bad += 1
            assert [bad for _, bad, _ in got] == [1] * len(want), f"packet {number} is not marked"
        else:
            assert got == want, f"packet {number}: {got}, not {want}"
    await bench.cycles(2)
    assert await bench.read("ERRORS") == SHORT | LONG
    assert await bench.read("BAD_SAMPLES") == number_bad
    assert await bench.read("SAMPLES") == len(wrong)
    assert await bench.read("STATUS") == 0


@cocotb.test(**LIMIT)
async def events_that_do_not_exist_are_dropped(dut: Any) -> None:
    """An event beyond the input, or beyond the train, spoils the sample it is in and nothing else."""
    bench = await Bench(dut).start()
    size = bench.job["wrapper"]["s_axis"]["tdata_bits"] // 8
    address_bits = (bench.job["inputs"] - 1).bit_length()
    extra = ((1 << address_bits) - 1, bench.job["timesteps"] << address_bits)
    for number, packet in enumerate(bench.packets):
        added = b"" if number % 3 == 2 else extra[number % 3].to_bytes(size, "little")
        place = size * bench.rng.randrange(len(packet) // size)
        bench.source.send_nowait(AxiStreamFrame(packet[:place] + added + packet[place:]))
    for number in range(len(bench.packets)):
        bad = int(number % 3 != 2)
        assert await bench.received() == [(value, bad, class_) for value, _, class_ in bench.wanted(number)]
    await bench.cycles(2)
    assert await bench.read("ERRORS") == WRONG_EVENT
    assert await bench.read("EVENTS") == sum(bench.job["events"])


@cocotb.test(**LIMIT)
async def resets_leave_nothing_behind(dut: Any) -> None:
    """Resets of three kinds in the middle of everything; what comes after is exact, no packet stays open."""
    bench = await Bench(dut).start()
    seen = set()
    for trial in range(12):
        kind, within = ("aresetn", "reset", "restart")[trial % 3], trial // 3 % 2 == 1
        for packet in bench.packets[:-1]:
            bench.source.send_nowait(AxiStreamFrame(packet))
        await (_stop_within_an_answer(bench) if within else bench.cycles(bench.rng.randrange(40 + 200 * trial)))
        bench.source.clear_pause_generator()
        bench.source.pause = True
        await _quiet(bench, stuck=within)
        ended, opened, waits = bench.watch.ended, bench.watch.open, bool(dut.s_axis_tvalid.value)
        left = list(range(ended + opened, len(bench.packets)))
        if kind == "reset":
            await bench.write("CONTROL", RESET)
            bench.source.send_nowait(AxiStreamFrame(bench.packets[-1]))
        else:
            bench.source.clear()
            bench.source.assert_reset()
            left = list(reversed(range(len(bench.packets))))  # so that no answer from before is taken for the first
            if kind == "restart":
                await bench.write("CONTROL", RESET | RESTART)
            else:
                await bench.reset(bench.rng.randrange(1, 4))
                bench.sink.clear()
            for number in left:
                bench.source.send_nowait(AxiStreamFrame(bench.packets[number]))
        if kind == "reset" and opened and not waits:
            status = await bench.read("STATUS")
            assert status & 6 == 6, f"STATUS {status:#x}: must be receiving and discarding"
        bench.source.pause = bench.sink.pause = False
        bench.sink.set_pause_generator(pauses(bench.rng))
        cut = await _before(bench, 0 if kind == "aresetn" else ended, left)
        seen |= {(kind, "input", opened), (kind, "output", cut)}
        await bench.cycles(20)
        assert bench.sink.empty(), f"{kind}: something came behind the last answer"
        assert await bench.read("STATUS") == 0
        assert await bench.read("ERRORS") == await bench.read("BAD_SAMPLES") == 0
        bench.source.set_pause_generator(pauses(bench.rng))
        bench.watch.forget()
        await bench.write("CONTROL", RESET)
    sides = ("input", "output") if sum(bench.job["readouts"]) > 3 else ("input",)
    wanted = {(kind, side, True) for kind in ("reset", "restart") for side in sides}
    assert wanted <= seen, f"not tried: {wanted - seen}"


async def _stop_within_an_answer(bench: Bench) -> None:
    """Let one or two beats of an answer out, and nothing behind them."""
    answers = bench.rng.randrange(4)
    while bench.watch.answers < answers:
        await bench.cycles(1)
    bench.sink.clear_pause_generator()
    bench.sink.pause = True
    await bench.cycles(3)
    while not bench.dut.m_axis_tvalid.value:
        await bench.cycles(1)
    bench.sink.pause = False
    await bench.cycles(2)
    bench.sink.pause = True
    await bench.cycles(bench.rng.choice([3, 50]))


async def _quiet(bench: Bench, *, stuck: bool) -> None:
    """Wait until the source offers nothing any more, or, where nothing comes out, until nothing is taken either."""
    waited = 0
    await bench.cycles(1)
    while bench.dut.s_axis_tvalid.value and not (stuck and waited == 600):
        waited = 0 if bench.dut.s_axis_tready.value else waited + 1
        await bench.cycles(1)


async def _before(bench: Bench, ended: int, left: list[int]) -> bool:
    """Receive everything: answers from before a reset, a packet that it closed, those of the samples `left`.

    Returns whether there was such a packet.
    """
    number, cut = 0, False
    got = await bench.received()
    while number < ended and got == bench.wanted(number):
        number, got = number + 1, await bench.received()
    if got != bench.wanted(left[0]):
        *whole, last = got
        assert last == (0, 1, 0), f"a packet that was cut off ends with {last}"
        assert whole == bench.wanted(number)[: len(whole)]
        cut, got = True, await bench.received()
    for position, sample in enumerate(left):
        assert got == bench.wanted(sample), f"sample {sample} after a reset: {got}, not {bench.wanted(sample)}"
        got = await bench.received() if position + 1 < len(left) else None
    return cut


@cocotb.test(**LIMIT)
async def registers_answer(dut: Any) -> None:
    """Constants, addresses that are none, strobes, and many accesses at once."""
    bench = await Bench(dut).start()
    job, offsets = bench.job, bench.offsets
    events = job["wrapper"]["s_axis"]["carries"] == "events"
    constants = {
        "MAGIC": int.from_bytes(b"LOOM", "little"),
        "VERSION": 1 << 16,
        "BUILD_ID_LOW": job["build_id"] & 0xFFFFFFFF,
        "BUILD_ID_HIGH": job["build_id"] >> 32,
        "INPUTS": job["inputs"],
        "INPUT_BEATS": job["wrapper"]["s_axis"]["beats"],
        "OUTPUTS": sum(job["readouts"]),
        "FORMAT": events | job["timesteps"] << 8 | job["potential_bits"] << 16 | len(job["readouts"]) << 24,
        "CONTROL": 0,
    }
    assert {name: await bench.read(name) for name in constants} == constants
    for address in range(0, 256, 4):
        there = address in offsets.values()
        read = await bench.master.read(address, 4)
        assert read.resp == (AxiResp.OKAY if there else AxiResp.SLVERR), f"read of {address:#x}: {read.resp!r}"
        written = await bench.master.write(address, b"\0\0\0\0")
        may = address in (offsets["CONTROL"], offsets["ERRORS"])
        assert written.resp == (AxiResp.OKAY if may else AxiResp.SLVERR), f"write of {address:#x}: {written.resp!r}"
    assert await bench.read("MAGIC") == constants["MAGIC"]
    await _strobes(bench)
    reads = [(name, bench.master.init_read(offsets[name], 4)) for name in 20 * list(constants)]
    writes = [bench.master.init_write(offsets["ERRORS"], b"\0\0\0\0") for _ in range(100)]
    for name, event in reads:
        await event.wait()
        assert int.from_bytes(event.data.data, "little") == constants[name]
    for event in writes:
        await event.wait()
        assert event.data.resp == AxiResp.OKAY


async def _strobes(bench: Bench) -> None:
    """Bytes without a strobe do nothing."""
    errors, control = bench.offsets["ERRORS"], bench.offsets["CONTROL"]
    if bench.job["wrapper"]["s_axis"]["carries"] == "events":
        return
    for frame in (bench.packets[0][:3], bench.packets[0] + bytes(9)):
        bench.source.send_nowait(AxiStreamFrame(frame))
        await bench.received()
    assert await bench.read("ERRORS") == SHORT | LONG
    for address in (errors, control):
        await bench.master.write(address + 1, b"\xff\xff\xff")
    assert await bench.read("ERRORS") == SHORT | LONG
    await bench.master.write(errors, b"\x02")
    assert await bench.read("ERRORS") == SHORT
    await bench.master.write(control, b"\xfe")  # no reset without its bit
    assert await bench.read("ERRORS") == SHORT
    assert await bench.read("SAMPLES") == 2
    await bench.master.write(control, b"\x01")
    assert await bench.read("ERRORS") == await bench.read("SAMPLES") == 0
