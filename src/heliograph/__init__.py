"""Heliograph: events, people and dates come in; it decides who hears what, and proves why."""

__version__ = "0.1.0"
