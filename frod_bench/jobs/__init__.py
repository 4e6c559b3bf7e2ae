"""What a command does from beginning to end: run, reproduce, verify, tune, calibrate."""
