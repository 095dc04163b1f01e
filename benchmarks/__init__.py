"""What a connection costs, as ratios to the least that could do something like it.

Run ``python -m benchmarks`` (or ``make bench``); `docs/performance.md` holds the table and says
what bounds each figure. One file for each thing that is measured; each of them alternates between
ours and the bare thing on the same servers, so that a busy machine slows both.
"""
