"""The sections of the report: of each its words, its table and its figure in one file."""
