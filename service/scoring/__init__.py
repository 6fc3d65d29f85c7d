"""Archives: a folder or bucket of slices in, Parquet out, one row a file."""
