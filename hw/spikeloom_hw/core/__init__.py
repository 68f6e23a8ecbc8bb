"""The core: lanes that accumulate, a generator that fires, and chains of such cores behind one event port."""
