"""What every package may use: errors, names, paths, atomic writes, locks, consoles."""
