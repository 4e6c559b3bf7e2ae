"""The command line: verbs, their help and arguments, exit statuses, completion."""
