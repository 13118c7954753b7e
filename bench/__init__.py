"""Figures of speed and memory, on the machine that runs them: `make bench`."""
