"""The record that a run leaves: its schema, where it lies, which one is meant, what made it."""
