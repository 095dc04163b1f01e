"""Campaigns of faults against a whole running Moorline, judged by the provider's own log."""
