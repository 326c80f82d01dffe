"""One file for each resource family: its envelopes, resource names, status codes and query names."""
