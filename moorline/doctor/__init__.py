"""``moorline doctor``: every half-broken set-up has a line that says so, and how to mend it.

Checks look; only ``lives`` changes something, and only when it is told to. A part that is away is
a finding: no check ever ends the others.
"""
