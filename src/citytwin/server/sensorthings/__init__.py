"""OGC SensorThings API 1.1 (OGC 18-088) over the twin: the city's devices, and what clients make beside them."""
