"""Examples: each folder is a story that can be played, and the tools that play it."""
