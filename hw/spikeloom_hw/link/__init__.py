"""The link to a host in gates: frames in, inferences, frames out; the twin of `spikeloom.link`."""
