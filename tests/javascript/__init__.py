"""The sandbox in which expressions run."""
