"""Makes this folder importable (`random_networks`) from every test: pytest puts a conftest's folder on the path."""

import signal

# A run in the background starts with SIGINT ignored, and so would every process the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
