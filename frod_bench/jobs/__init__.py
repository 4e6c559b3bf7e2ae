"""The verbs that have no room of their own: `start` of a module does what its verb asks for."""
