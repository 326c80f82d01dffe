"""The job done in other ways. Each module is one side (`benchmarks.sides`) and says in its docstring how it is tuned."""
