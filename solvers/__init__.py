"""What is true of a problem: instances, constraints, exact answers. Pure: no files, no network, no database."""
