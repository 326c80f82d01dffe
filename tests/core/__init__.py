"""The pure core: tables and properties, no I/O."""
