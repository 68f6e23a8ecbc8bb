"""The wrapper for a SoC: AXI4-Stream for samples and answers, AXI4-Lite for registers, around the generated core."""
