"""The Planck study: poolings and neural networks on simulated spectra and cities, for ``reports/planck_study.md``.

``python tests/benches/planck_study`` (``make study``) runs it; ``runs.py`` says what it consists of.
"""
