"""What Hydra may compose: the typed schema, and the methods and functions of a user."""
