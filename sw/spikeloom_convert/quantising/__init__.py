"""From floats to the integer line: thresholds, weights, and the choice among candidates."""
