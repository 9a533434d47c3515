"""Livewall: group live video where a camera sends only while somebody really watches."""

__version__ = "0.1.0"
