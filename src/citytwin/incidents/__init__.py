"""People acting together: the journal, rules and alerts, messages to people. Pure: no sockets, HTTP, SQL or event loop."""

from citytwin.incidents.journal import Asked, Entry, Journal, Page

__all__ = ["Asked", "Entry", "Journal", "Page"]
