"""``python -m wetgate`` is the program."""

from wetgate.cli import main

if __name__ == "__main__":
    main()
