"""What a workflow asks the world to do: claim, call, store, report.

Thin classes that are handed their resources. Policy belongs in ``domain``.
"""
