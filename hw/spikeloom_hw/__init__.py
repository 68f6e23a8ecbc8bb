"""How a network is built in gates."""
