"""Trained models in: trace, fold, calibrate, convert, quantise."""
