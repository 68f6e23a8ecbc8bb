"""`python -m spikeloom_cli` is `spikeloom`."""

from .app import main

if __name__ == "__main__":
    main()
