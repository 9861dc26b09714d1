"""Messages out: e-mail, webhooks, and what apprise speaks."""
