"""What every room may use: errors, paths, locks, consoles, and which process this is."""
