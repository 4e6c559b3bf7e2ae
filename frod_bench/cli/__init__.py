"""What the commands share: exit statuses and messages; and the command for the cache."""
