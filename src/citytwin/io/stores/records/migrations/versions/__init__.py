"""The history of the tables' form, one file a change, run by Alembic when the records are opened."""
