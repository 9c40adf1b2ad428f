"""The pure centre: no I/O, no clock, no logging, no third party. Time is always an argument."""
