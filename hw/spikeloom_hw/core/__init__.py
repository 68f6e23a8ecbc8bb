"""The core: lanes that accumulate, a generator that fires; chains of cores behind one event port; pixels to events."""
