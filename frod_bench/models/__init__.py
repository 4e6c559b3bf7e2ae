"""Pretrained backbones with a head: a classifier, or a language model that ranks options."""
