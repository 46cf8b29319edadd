// Disease mapping, no pooling.
//
//   y[n] ~ poisson(expected[n] exp(theta[j])), or binomial(tested[n], inv_logit(theta[j])), j = group_idx[n]
//   or, by choice, neg_binomial_2(expected[n] exp(theta[j]), 1 / overdispersion^2)
//   theta[j] ~ normal(prior_theta), fixed and wide
//
// Pooling: areas share nothing; each has a rate of its own with a fixed prior. Predictors of areas say nothing beyond
// the area's own rate and are left out, and the map is not used.
// Parameterisation: theta in units of its prior; of counts that spread more, about what each count leads to expect.
// Riebler et al. (2016), Statistical Methods in Medical Research 25:1145; Morris et al. (2019), Spatial and
// Spatio-temporal Epidemiology 31:100301.
functions {
  #include scale_prior.stanfunctions
  #include log_rising.stanfunctions
  #include mixed_counts.stanfunctions
  #include area_counts.stanfunctions
  #include near_counts.stanfunctions
}
data {
  #include areas/data.stan
}
transformed data {
  real overdispersion_max = prior_overdispersion_family == 4 ? 1 : positive_infinity(); // only a uniform prior ends
  vector[J] width = rep_vector(prior_theta[2], J); // sd of the prior of each theta (unit of mu)
  vector[J] count; // of each area: cases and a half, for the scale of theta_raw where counts spread more
  vector[J] own; // log of its own rate about the expected number
  count[group_idx] = to_vector(y) + 0.5;
  own[group_idx] = log((to_vector(y) + 0.5) ./ expected);
}
parameters {
  vector[J] theta_raw; // of each area in units of its prior, as near_counts has it of counts that spread more (no unit)
  vector<lower=0, upper=overdispersion_max>[overdispersed] overdispersion_raw; // in units of its prior's scale
}
transformed parameters {
  vector[overdispersed] overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean
  vector[J] theta = prior_theta[1] + prior_theta[2] * (overdispersed ? near_counts(theta_raw, own - prior_theta[1],
                                                                         width, count, overdispersion[1])
                                                       : theta_raw); // log rate ratio or log odds of each area
}
model {
  if (overdispersed) {
    theta_raw ~ near_counts(own - prior_theta[1], width, count, overdispersion[1]);
  } else {
    theta_raw ~ std_normal();
  }
  target += overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion);
  if (use_likelihood) {
    target += area_counts_lpmf(y | theta[group_idx], counted, tested, expected, overdispersion);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated cases
  real lprior = overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
                + normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = area_count(y[n], theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
    y_rep[n] = area_count_rng(theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
  }
}
