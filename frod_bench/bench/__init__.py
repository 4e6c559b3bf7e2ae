"""Speed and memory of FRoD against full fine-tuning, LoRA, DoRA and PEFT's FRoD (`command.py`)."""
