"""Numberdesk: the backend of a virtual number service."""

from importlib.metadata import version

__version__ = version("numberdesk")
