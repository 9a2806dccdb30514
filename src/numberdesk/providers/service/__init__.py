"""The door of the providers slice: renting and reading through open lines, and keeping the rows of providers."""

from numberdesk.providers.service._calls import active, another_code, balance, cancel, finish, look, offers, rent
from numberdesk.providers.service._lines import Lines, close, line, open_lines, refresh
from numberdesk.providers.service._rows import (
    Changes,
    Options,
    add,
    find_by_name,
    lease_watch,
    list_all,
    reseal,
    set_api_key,
    set_options,
    set_synced,
)

__all__ = [
    "Changes",
    "Lines",
    "Options",
    "active",
    "add",
    "another_code",
    "balance",
    "cancel",
    "close",
    "find_by_name",
    "finish",
    "lease_watch",
    "line",
    "list_all",
    "look",
    "offers",
    "open_lines",
    "refresh",
    "rent",
    "reseal",
    "set_api_key",
    "set_options",
    "set_synced",
]
