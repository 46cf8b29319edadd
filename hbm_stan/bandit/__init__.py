"""Which arm next: hierarchical Thompson sampling on the beta-binomial population of ``families/beta_binomial.py``.

``evidence`` is the density of the population given the counts, ``grid`` where its nodes lie, ``population`` the weights
of the nodes as counts come in, ``thompson`` arms and draws of them, ``decision`` what a day's decision says, ``arms``
reads tables and ``state`` what is kept from one day to the next.
"""
