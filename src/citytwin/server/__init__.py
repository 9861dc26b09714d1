"""HTTP and WebSocket: one file per noun; errors become a status in one table."""
