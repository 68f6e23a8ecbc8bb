"""Makes this folder importable (`random_networks`) from every test: pytest puts a conftest's folder on the path."""
