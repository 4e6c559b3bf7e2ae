"""Configuration: the typed schema, its conversion, and the files and functions of a user."""
