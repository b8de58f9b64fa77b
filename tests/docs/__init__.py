"""Documents that are made by a command: `make docs` writes docs/families.md, docs/gallery.md and docs/api.md."""
