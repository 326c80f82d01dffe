"""Official clients, unmodified, against a running server over HTTP."""
