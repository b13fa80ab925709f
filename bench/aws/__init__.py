"""AWS in this process, lean enough that a benchmark measures Sluice and not an emulator, and counting what is billed."""
