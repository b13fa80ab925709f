"""AWS in this process, lean enough that a benchmark measures Sluice and no emulator, and counting what is billed."""
