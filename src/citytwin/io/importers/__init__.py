"""Files in: each importer turns one kind of file into tables or ground of a city."""
