"""What a connection costs, as ratios to the least that could do something like it.

Run ``python -m benchmarks`` (or ``make bench``); `docs/performance.md` holds the table.
"""
