"""results.json -> pages: sections of words, tables and figures, set as report.pdf and report.html."""
