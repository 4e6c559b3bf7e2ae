"""How fast FRoD is beside full fine-tuning, LoRA, DoRA and PEFT's FRoD; docs in `__main__`."""
