"""Whole journeys in the user's words, time moved by hand."""
