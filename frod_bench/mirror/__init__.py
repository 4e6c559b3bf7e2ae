"""Local mirrors of data sets and checkpoints, for machines that cannot reach the Hub."""
