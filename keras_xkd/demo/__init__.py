"""The demonstration: images teach a network to recognise speech."""
