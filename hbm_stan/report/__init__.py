"""analysis.toml -> fits, tables, figures -> report.pdf and results.json."""
