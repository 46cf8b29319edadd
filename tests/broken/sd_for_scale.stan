// Planted fault: sigma is taken for the sd of rows; otherwise partial_pooling.
// Numbers with gross errors, partial pooling.
//
//   y[n] ~ student_t(nu, eta[n], sigma)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns, levels and outcome are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Lange, Little & Taylor (1989), Journal of the American Statistical Association 84:881.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include scale_prior_above.stanfunctions
  #include student_t_rows.stanfunctions
}
data {
  #include sampled/data.stan
  vector[N] y; // outcome (its unit)
  vector<lower=0>[NC] cell_rows; // rows of each cell
  int<lower=1, upper=7> prior_sigma_family; // prior of sigma, as scale_prior counts
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=8> prior_nu_family; // prior of nu, as scale_prior counts; 8: it is known
  array[2] real<lower=0> prior_nu; // its scale or its value (no unit), its second argument
  int<lower=0, upper=1> nu_free; // 0: nu is known
}
transformed data {
  #include sampled/partial_transformed_data.stan
  vector[NC] cell_y = y[cell_row]; // outcome of the rows of each cell
  real log_above = nu_free ? log_scale_prior_above(2, prior_nu_family, prior_nu) : 0; // of the prior of nu
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_sigma_family})[1]> sigma_raw; // scale of rows over its prior's scale
  array[nu_free] real<lower=2 / prior_nu[1], upper=raw_ends({prior_nu_family})[1]> nu_raw; // over its scale
}
transformed parameters {
  real sigma = prior_sigma[1] * sigma_raw; // scale of a row about its mean (unit of the outcome)
  real nu = prior_nu[1] * (nu_free ? nu_raw[1] : 1); // degrees of freedom, 2 at least (no unit)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
  if (nu_free) {
    lprior += scale_prior_lpdf(nu | prior_nu_family, prior_nu) - log_above; // above 2, normalised there
  }
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += log_student_t_rows(cell_y, eta, cell_rows, nu, sigma * sqrt((nu - 2) / nu)); // FAULT: an sd
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
