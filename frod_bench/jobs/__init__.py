"""The verbs that have no room of their own, each a function of its name."""
