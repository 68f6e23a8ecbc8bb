"""What the gates can do: networks they cannot run are refused by name, before anything is planned."""

from .errors import NotBuilt, listed
from .network import Network, Population
from .neuron import OPTIONAL_VECTORS, Neuron, Silent
from .program import max_pooled


def require_gates(network: Network) -> None:
    """Raise `NotBuilt` listing what this version's gates cannot do, although a network can say it."""
    network.require_built()
    found = [] if network.schedule == "two-phase" else [f"schedule '{network.schedule}'"]
    found += [f"input '{item.name}': signed" for item in network.inputs if item.signed]
    names = [network.inputs[0].name, *(item.name for item in network.populations)]
    for number, population in enumerate(network.populations):
        found += [f"population '{population.name}': {what}" for what in _unbuilt(population)]
        if not any(item.source == names[number] for item in network.connections):
            found.append(f"population '{names[number]}': nobody hears it")
    for connection in network.connections:
        if connection.source == names[0] and (connection.target != names[1] or len(network.incoming(names[1])) > 1):
            found.append(f"connection '{connection.name}': the train of the network's input cannot be kept")
        elif connection.source == names[0] and max_pooled(connection):
            found.append(f"connection '{connection.name}': max pooling of the network's input")
    for readout in network.readouts:
        if network.source(readout.population).shape[1:] != (1, 1):
            found.append(f"readout '{readout.population}': shape must be (O, 1, 1) in gates")
    silent = [item.name for item in network.populations if isinstance(item.neuron, Silent)]
    if silent != names[-1:]:
        found.append(f"population '{names[-1]}': the last one must be the readout, and the only one")
    if found:
        raise NotBuilt(f"Network '{network.name}': not built in gates yet: {listed(found)}")


def _unbuilt(population: Population) -> list[str]:
    neuron = population.neuron
    found: list[str] = []
    if isinstance(neuron, Neuron):
        found += [name for name in OPTIONAL_VECTORS if getattr(neuron, name) is not None]
        if neuron.signed:
            found.append("signed")
        if neuron.reset_kind != "soft":
            found.append(f"reset_kind '{neuron.reset_kind}'")
        if neuron.growth not in (1.0, 2.0):
            found.append(f"growth {neuron.growth} needs a sweep a time step")
    return found
