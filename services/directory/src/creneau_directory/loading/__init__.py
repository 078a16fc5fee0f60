"""Loading the directory from national files: read as streams, laid down as fragments, compared, written in bulk."""
