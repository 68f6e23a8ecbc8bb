"""The commands, a module for each kind, whose heavy imports wait inside; the demo has a folder of its own."""
