  vector[RO] rho_other = correlations(partial_other, K, other_correlated); // of other terms
