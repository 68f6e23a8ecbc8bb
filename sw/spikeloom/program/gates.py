"""What the gates can do: networks they cannot run are refused by name, before anything is planned."""

from ..errors import NotBuilt, listed
from ..network import Network, Population
from .program import fires
from .visits import swept


def require_gates(network: Network) -> None:
    """Raise `NotBuilt` listing what this version's gates cannot do, although a network can say it."""
    network.require_built()
    found: list[str] = []
    names = [network.inputs[0].name, *(item.name for item in network.populations)]
    for number, name in enumerate(names):
        heard = [item for item in network.connections if item.source == name]
        if not heard and not isinstance(network.source(name), Population):
            found.append(f"input '{name}': nobody hears it")
        elif not heard and fires(network, name):
            found.append(f"population '{name}': nobody hears it")
        if (
            number
            and heard
            and swept(network, name)
            and (len(heard) > 1 or heard[0].target != names[number + 1] or heard[0].geometry.max_windows is not None)
        ):
            found.append(f"population '{name}': fires step by step, and more than the next one hears it, once")
        if number and swept(network, name) and network.sender(name).code == "naf":
            found.append(f"population '{name}': fires step by step, so code must be plain, not naf")
    early = [item for item in network.incoming(names[1]) if not network.recurrent(item)]
    for connection in network.connections:
        if network.recurrent(connection) and connection.source == names[-1]:
            found.append(f"connection '{connection.name}': the last population's spikes cannot be kept")
        if connection.source == names[0] and (connection.target != names[1] or len(early) > 1):
            found.append(f"connection '{connection.name}': the train of the network's input cannot be kept")
        elif connection.source == names[0] and connection.geometry.max_windows is not None:
            found.append(f"connection '{connection.name}': max pooling of the network's input")
    for readout in network.readouts:
        if network.source(readout.population).shape[1:] != (1, 1):
            found.append(f"readout '{readout.population}': shape must be (O, 1, 1) in gates")
    if found:
        raise NotBuilt(f"Network '{network.name}': not built in gates yet: {listed(found)}")
