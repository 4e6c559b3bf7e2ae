"""Methods, or two results folders, side by side: scores, paired differences, curves."""
