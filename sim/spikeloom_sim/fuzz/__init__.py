"""What is drawn at random against the gates: networks on cores, hostile frames, and faults that benches must catch."""
