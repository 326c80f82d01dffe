"""The only way in for people and programs: HTTP in, words of core and store inside, one wire family a route file."""
