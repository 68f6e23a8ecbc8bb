"""The demo: the whole way from training to a bitstream, which goes on where it was stopped."""
