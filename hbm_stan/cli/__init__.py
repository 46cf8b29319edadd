"""The command line: parse, call, print, exit code. No statistics, no file formats."""
