"""A folder with an analysis.toml: what it says, checked key by key, and how a new one is written."""
