"""Reproduce FRoD against LoRA, DoRA and full fine-tuning, one record a cell."""

__version__ = "1.0.0"
