  vector[PS] beta_shared_raw; // shared coefficients in units of their priors (no unit)
  vector<lower=0, upper=raw_ends(prior_sd_family)>[KO] sd_raw; // sds of the other terms over their priors' scales
  vector<lower=-1, upper=1>[RO] partial_other; // canonical partial correlations of the other terms (no unit)
  vector[M] sampled; // coefficients of centered terms, deviations of the others; sampled_terms says how
