"""Draws from a log density without a Markov chain's steps: a mixture that follows it, and what it proposes, weighed."""

# Vehtari et al. (2024), JMLR 25(72): means of what is weighted converge in practice below 0.7. Squares of independent
# draws have a k of up to 0.5 where tails are exponential, so that no lower limit can be set to theirs.
MAX_K = 0.7
