"""How a backbone is fine-tuned: from a configuration to named parameter groups."""
