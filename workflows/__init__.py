"""The durable lives: one workflow per file, its messages, and the names others call it by.

Touches the world through activities only.
"""
