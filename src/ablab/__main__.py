"""`python -m ablab` is `ablab`."""

from ablab.cli import main

if __name__ == "__main__":
    main()
