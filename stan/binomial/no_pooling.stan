// Binomial outcomes, no pooling.
//
//   y[n] ~ binomial(trials[n], inv_logit(eta[n]))
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(sd_t) Omega_t diag(sd_t)) for other terms than the group's; of these every
//   coefficient, with the common one if it has one, is normal(prior_theta)
//
// Pooling: coefficients of groups have fixed, wide priors and share nothing. Terms of other factors stay.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 14.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include log_one_plus_exp.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // successes of each row
  array[N] int<lower=1> trials; // their trials
  vector<lower=0>[NC] cell_y; // successes of each cell
  vector<lower=0>[NC] cell_trials; // trials of each cell
}
transformed data {
  #include sampled/no_transformed_data.stan
}
parameters {
  #include sampled/no_parameters.stan
}
transformed parameters {
  #include sampled/no_transformed_parameters.stan
}
model {
  #include sampled/no_model.stan
  if (use_likelihood) {
    target += dot_product(cell_y, eta) - dot_product(cell_trials, log_one_plus_exp(eta)); // but for constants
  }
}
generated quantities {
  #include sampled/no_generated_quantities.stan
}
