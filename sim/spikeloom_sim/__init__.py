"""How the gates are checked against the golden model."""
