"""The HTTP API: thin handlers over what the command line uses, too. Nothing here is decided twice."""
