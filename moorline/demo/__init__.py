"""The story of a connection, told on real parts and judged by the provider's own log.

Nothing here is special to the demo: the same workers, client and providers as everywhere. It may
not decide by what Moorline believes; every step asks the sandbox's ledger, the database's files or
Temporal's own command line.
"""
