"""From operations to weighted populations, exactly; and what is said about those that cannot be folded."""
