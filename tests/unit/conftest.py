"""Properties are about values, not about how busy the machine is: no deadline for an example."""

from hypothesis import settings

settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")
