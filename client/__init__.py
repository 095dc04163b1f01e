"""How anyone talks to connections: one way to reach Temporal, and a typed client.

Holds no business rules: it sends messages and reads what was stored.
"""
