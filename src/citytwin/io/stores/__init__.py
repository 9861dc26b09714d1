"""What is kept: readings and records."""
