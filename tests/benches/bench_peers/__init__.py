"""hbm_stan beside nutpie, PyMC, NumPyro, Bambi and a textbook program on equal posteriors, and beside point estimates.

``python tests/benches/bench_peers`` (``make bench-peers``) runs it; ``runs.py`` says what a measurement is,
``cases.py`` what is fitted and ``sides.py`` by whom.
"""
