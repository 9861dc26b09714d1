"""Files out: the city in the formats of other platforms."""
