"""Simulate a provider of numbers: a real HTTP server that speaks the SMS-Activate protocol and keeps its own record.

`start` runs it; demos, tests and benchmarks rent from it as from any upstream, and compare with what it wrote down.
"""

from numberdesk.providers.simulator.profiles import PROFILES, Mixture, Profile, mixture_of
from numberdesk.providers.simulator.record import Fact, FactName, Plan, read_record
from numberdesk.providers.simulator.server import Simulator, start

__all__ = [
    "PROFILES",
    "Fact",
    "FactName",
    "Mixture",
    "Plan",
    "Profile",
    "Simulator",
    "mixture_of",
    "read_record",
    "start",
]
