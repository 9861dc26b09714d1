"""A storm surge: the sea at one level, as far inland as it can run."""
