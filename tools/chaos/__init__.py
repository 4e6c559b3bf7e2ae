"""Kills a short sweep at random moments and inside its writes, and counts what that cost."""
