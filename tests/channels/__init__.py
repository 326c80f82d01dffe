"""The ways out, against real servers on the loopback."""
