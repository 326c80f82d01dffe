"""The promises that Heliograph keeps, each test one sentence."""
