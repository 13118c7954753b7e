"""ftervit: fully ternary Vision Transformers, from a checkpoint to a microcontroller."""

__version__ = "0.1.0"
