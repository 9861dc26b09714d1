"""Impact: what a hazard does to people, buildings, roads and facilities."""
