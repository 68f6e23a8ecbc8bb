"""Which core runs which layers on how many lanes: costs in cycles, block RAMs and LUTs, and the choice among them."""
