"""HTTP in, workflow messages out. Handed all it needs; never calls a provider."""
