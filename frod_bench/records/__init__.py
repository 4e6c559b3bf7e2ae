"""The record of a run: schema, hash, storage, selection."""
