"""Faults on purpose: processes killed at every point that matters, judged by the provider's log.

Run ``make faults``. Production code knows nothing of it: a point is a place in our code, and the
process that is to die there is started by ``campaign.doomed``.
"""
