"""What was found, as numbers and sentences: the content of results.json."""
