"""Models of a formula: one Family for each likelihood, whose structure (columns, factors, terms) is data."""
