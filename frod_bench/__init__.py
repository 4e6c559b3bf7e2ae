"""Reproduce FRoD against LoRA, DoRA and full fine-tuning, one record a cell."""

__version__ = "0.2.0"
