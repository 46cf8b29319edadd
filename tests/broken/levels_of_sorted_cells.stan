// Planted fault: cells are given the levels of sorted rows; otherwise partial_pooling.
// Binomial outcomes, partial pooling.
//
//   y[n] ~ binomial(trials[n], inv_logit(eta[n]))
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 14.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // successes of each row
  array[N] int<lower=1> trials; // their trials
  vector<lower=0>[NC] cell_y; // successes of each cell
  vector<lower=0>[NC] cell_trials; // trials of each cell
}
transformed data {
  matrix[NC, PS] X_cell = X[cell_row, shared]; // shared columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  array[KG + KO, NC] int place = places(level[ : , sort_asc(cell_row)], K, L, 0); // FAULT: of sorted rows
  vector[KG] rate = rates(K, G, centered, rep_vector(0, KG)); // deviations from beta need no shift (no unit)
  matrix[KG * J, PS] carry = carried(inside, rate, J); // as inside, times rate
  vector[KG] origin // prior means of centered coefficients (units as beta)
    = origins(K, G, centered, head(means_of_columns(prior_beta[ : , 1], own, KO), KG));
}
parameters {
  #include sampled/partial_parameters.stan
}
transformed parameters {
  #include sampled/partial_transformed_parameters.stan
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += dot_product(cell_y, eta) - dot_product(cell_trials, log1p_exp(eta)); // but for constants
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
