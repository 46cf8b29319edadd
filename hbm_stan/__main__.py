"""The command ``hbm``, also as ``python -m hbm_stan``: Ctrl-C ends it in one line, from the first import on."""

import sys


def main() -> None:
    """Import the command line and run it."""
    try:
        from hbm_stan.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("hbm: stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
