"""Faults on purpose, judged by the provider's own log.

``make faults`` kills processes at every point that matters; ``make campaign`` has everything go
wrong at once, drawn from a seed. Production code knows nothing of either.
"""
