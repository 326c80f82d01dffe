"""Each stage of the engine on a real database."""
