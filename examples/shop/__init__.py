"""A believable shop: its customers, a month of its events, and what it wants to tell whom."""
