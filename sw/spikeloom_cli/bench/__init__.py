"""Benchmarks behind every figure in the README: `make bench` reruns them and rewrites docs/results/*.json."""
