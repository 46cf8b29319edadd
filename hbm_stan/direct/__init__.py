"""Draws from a log density without a Markov chain's steps: a mixture that follows it, and what it proposes, weighed."""

# Of the weights: Vehtari et al. (2024), JMLR 25(72): means of what is weighted converge in practice below 0.7.
# So they do of weights times squares; squares of independent draws have a k of 0.5 already where a tail is exponential.
MAX_K, MAX_K_SQUARES = 0.7, 0.7
# What may be missing beyond the largest weight (psis.tail_beyond): of the posterior, and of a mean square. Of 52 wrong
# sets of draws from funnels the best had 0.006 of the posterior missing (ours).
MAX_MISSING, MAX_MISSING_SQUARES = 0.005, 0.15
