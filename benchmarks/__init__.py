"""Measurements, side by side with other ways of doing the same job; `python -m benchmarks --help`.

Law: a figure counts only if the work behind it was checked afterwards (`ledger`, `sink`), and every side runs in
a process of its own (`sides`), so that no peer's dependency reaches another side. Nothing is cached: each run
measures all that it prints.
"""
