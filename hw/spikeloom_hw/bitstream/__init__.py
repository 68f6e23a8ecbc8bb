"""From a build to a bitstream, to another network in it, and onto the board."""
