"""Pretrained backbones: with a new head, or as language models that score options."""
