"""Hydra's search path for `experiments/`: this folder shows it as the config group `experiment`."""
