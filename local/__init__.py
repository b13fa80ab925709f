"""The embedded stack: the template deployed into an AWS emulator, beside a simulator of the Claude API."""
