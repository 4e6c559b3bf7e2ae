"""A task's configuration -> train, validation and test rows, and their collation."""
