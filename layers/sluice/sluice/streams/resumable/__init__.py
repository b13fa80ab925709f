"""Streams that outlive their connection: a log of events, its writer, its readers, and how one is continued."""
