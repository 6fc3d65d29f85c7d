"""The offline training line: every step reads files and writes files, and runs alone."""
