"""From a module as somebody wrote it to the few operations that it is made of."""
