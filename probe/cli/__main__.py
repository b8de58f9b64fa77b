"""`python -m probe.cli` is `probe`."""

from probe.cli import main

if __name__ == "__main__":  # worker processes import this module too
    main()
