// Ordered categories, cumulative logit, no pooling.
//
//   P(y[n] <= k) = inv_logit(threshold[k] - eta[n]), k = 1 ... categories - 1
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(sd_t) Omega_t diag(sd_t)) for other terms than the group's; of these every
//   coefficient, with the common one if it has one, is normal(prior_theta)
//
// Pooling: coefficients of groups have fixed, wide priors and share nothing but the thresholds that they lie about.
// Terms of other factors stay.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns, levels and category are one cell.
// Thresholds stand in the place of a common intercept.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// McCullagh (1980), Journal of the Royal Statistical Society B 42:109.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include ordered_rows.stanfunctions
}
data {
  #include sampled/data.stan
  int<lower=2> categories; // number of categories, in order
  array[N] int<lower=1, upper=categories> y; // category of each row
  vector<lower=0>[NC] cell_rows; // rows of each cell
  real<lower=0> prior_threshold; // concentration of the Dirichlet prior of the shares at eta = 0 (no unit)
}
transformed data {
  #include sampled/no_transformed_data.stan
  array[NC] int cell_y = y[cell_row]; // category of the rows of each cell
  vector[categories] category_rows = rows_by_category(cell_y, cell_rows, categories); // rows of each category
  vector[NC] end_rows = rows_at_ends(cell_y, cell_rows, categories); // half of those at an end, with its sign
  vector[NC] size_rows = cell_rows - sqrt(square(end_rows)); // rows of each cell, of those at an end half
}
parameters {
  #include sampled/no_parameters.stan
  ordered[categories - 1] threshold; // between categories, in the place of an intercept (log odds)
}
transformed parameters {
  #include sampled/no_transformed_parameters.stan
  lprior += induced_dirichlet_lpdf(threshold | prior_threshold);
}
model {
  #include sampled/no_model.stan
  if (use_likelihood) {
    target += log_ordered_rows(cell_y, eta, cell_rows, end_rows, size_rows, category_rows, threshold);
  }
}
generated quantities {
  #include sampled/no_generated_quantities.stan
}
