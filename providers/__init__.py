"""How to speak to data providers: one module per manner, provider entries as data.

Knows HTTP and the provider's words; knows neither Temporal nor storage.
"""
