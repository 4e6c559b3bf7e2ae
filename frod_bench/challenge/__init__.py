"""A user's method through the whole procedure, beside the committed runs of all others."""
