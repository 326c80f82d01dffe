"""The job done in other ways: each `…_job` or `…_loop` is a side (`benchmarks.sides`) and says how it is tuned."""
