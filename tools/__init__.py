"""What made the files that the package ships; not part of it."""
