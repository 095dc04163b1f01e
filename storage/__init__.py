"""What lasts: tables, the vault, and the statements that make writes exclusive.

Knows PostgreSQL and cryptography; knows neither Temporal nor providers.
"""
