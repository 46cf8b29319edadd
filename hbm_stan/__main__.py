"""``python -m hbm_stan`` is ``hbm``."""

from hbm_stan.cli.app import main

if __name__ == "__main__":
    main()
