"""Pictures: of an inference, of an analysis, of a training."""
