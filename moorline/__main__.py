"""``python -m moorline``: the same as the ``moorline`` command."""

from moorline.cli import main

if __name__ == "__main__":
    main()
