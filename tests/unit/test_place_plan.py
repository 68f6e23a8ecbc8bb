"""The plan: what layers and cores are expected to cost, and how the command line shows it."""

import json

import numpy as np
import pytest
from deep_shapes import residual_network
from spikeloom import Network
from spikeloom.placing.cost import cycles, sops
from spikeloom.placing.pace import interval
from spikeloom.placing.place import place
from spikeloom.placing.plan import plan
from spikeloom.placing.resources import Capacity, core_blocks, core_luts
from spikeloom_cli.commands.builds import plan_tables
from spikeloom_cli.output import table_text


@pytest.fixture(scope="module")
def network() -> Network:
    return residual_network(np.random.default_rng(0), channels=(8,), blocks=1, size=8, timesteps=4)


def test_a_plan_has_every_layer_and_core_with_its_cost(network: Network) -> None:
    program = place(network, lanes=18, cores=2)
    found = plan(program, Capacity("board", lut=1000, ram_blocks=50, family="ecp5"))
    assert [item.layer for item in found.layers] == [item.name for item in network.populations]
    for estimate, core in zip(found.cores, program.cores, strict=True):
        assert (estimate.core, estimate.lanes) == (core.name, core.lanes)
        assert estimate.cycles == cycles(network, core)
        assert (estimate.lut, estimate.ram) == (core_luts(network, core, "ecp5"), core_blocks(network, core, "ecp5"))
        own = [item for item in found.layers if item.core == core.name]
        assert sum(item.cycles for item in own) == pytest.approx(estimate.cycles, rel=1e-12)
    assert found.interval == interval(network, program.cores)
    bounds = [sum(sops(network, layer.population) for layer in core.layers) / core.lanes for core in program.cores]
    assert found.utilisation == pytest.approx(max(bounds) / found.interval, rel=1e-12)
    assert (found.lut_available, found.ram_available) == (1000, 50)


def test_without_a_board_nothing_is_available_and_blocks_are_those_of_an_ecp5(network: Network) -> None:
    program = place(network, lanes=18)
    found = plan(program)
    assert (found.lut_available, found.ram_available, found.family) == (None, None, "ecp5")
    assert found.ram == sum(core_blocks(network, core, "ecp5") for core in program.cores)


def test_a_plan_is_plain_json(network: Network) -> None:
    document = plan(place(network, lanes=18, cores=1)).document
    assert json.loads(json.dumps(document)) == json.loads(json.dumps(document, sort_keys=True))
    assert document["layers"][0]["spread"] == (3, 3)


def test_the_tables_show_lanes_as_cells_times_lanes_of_a_cell(network: Network) -> None:
    found = plan(place(network, lanes=18, cores=2))
    layers, cores = (table_text(table).splitlines() for table in plan_tables(found))
    assert layers[0].split() == ["layer", "core", "lanes", "spread", "SOPs", "cycles"]
    assert layers[1].split()[:4] == ["l1", found.cores[0].core, "3x3x2", "3x3"]
    assert cores[0].split("  ")[-1] == "RAM blocks"
    assert len(layers) == 1 + len(network.populations)
    assert len(cores) == 3
