"""What others measured: read, checked, and shown next to what the records say."""
