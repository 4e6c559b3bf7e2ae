"""How the three shipped backbones were pretrained: corpora, corruption, objectives, loops."""
