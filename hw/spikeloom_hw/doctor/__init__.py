"""What `spikeloom doctor` asks of the tools and of the machine."""
