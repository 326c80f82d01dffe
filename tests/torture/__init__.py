"""Kill tests: real processes, killed at random; the ledger and the sink are asked what became of everything."""
