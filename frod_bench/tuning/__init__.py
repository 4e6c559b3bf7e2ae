"""How learning rates are picked: by one procedure for every method, on validation."""
