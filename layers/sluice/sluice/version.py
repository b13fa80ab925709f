"""The version that Sluice tells servers and clients."""

VERSION = "0.1.0"
USER_AGENT = f"sluice/{VERSION}"
