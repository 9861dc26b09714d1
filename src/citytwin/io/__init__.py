"""Everything that touches the outside; the kinds (importers, feeds, stores, channels) do not know each other."""
