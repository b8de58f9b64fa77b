"""Documents that are made by a command: `make docs` writes docs/families.md and docs/gallery.md."""
