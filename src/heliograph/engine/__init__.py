"""The data's way: ingest, turn (match and run), deliver. Stages hand over through the store."""
