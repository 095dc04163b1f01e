"""The front door: settings, assembly, the embedded development stack, the command line."""
