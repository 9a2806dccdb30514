"""Name the families of providers that the simulator can be."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from numberdesk.providers.simulator.agent import Agent
from numberdesk.providers.simulator.dialects import MANNERS
from numberdesk.providers.simulator.five_sim import FiveSim
from numberdesk.providers.simulator.protocol import SmsActivate
from numberdesk.providers.simulator.sms_pool import SmsPool
from numberdesk.providers.simulator.wire import Wire

FAMILIES: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        **{name: SmsActivate(manners) for name, manners in MANNERS.items()},
        "five-sim": FiveSim(),
        "sms-pool": SmsPool(),
        "agent": Agent(),
    }
)
