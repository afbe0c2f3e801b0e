"""Benchmarks: each file prints tables of ratios against a peer or a floor, or of errors, all measured in one run.

Run one with ``python -m benchmarks.NAME``, all with ``make benchmark``. Seconds depend on the machine and its load;
the ratios are what to read.
"""
