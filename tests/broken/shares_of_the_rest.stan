// Planted fault: a share is taken for what it leaves; otherwise partial_pooling.
// Shares strictly between 0 and 1, partial pooling.
//
//   y[n] ~ beta_proportion(inv_logit(eta[n]), 1 / spread^2)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Ferrari & Cribari-Neto (2004), Journal of Applied Statistics 31:799.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include binet.stanfunctions
  #include log_one_plus_exp.stanfunctions
  #include shares.stanfunctions
}
data {
  #include sampled/data.stan
  vector<lower=0, upper=1>[N] y; // share of each row (no unit)
  vector<lower=0>[NC] cell_rows; // rows of each cell
  vector[NC] cell_logit; // mean of the logits of each cell
  real<lower=0> shortfall; // divergences of rows from the mean logit of their cell, over all rows
  int<lower=0, upper=1> concentrated; // whether shares lie so close to their means that large terms would cancel
  int<lower=1, upper=7> prior_spread_family; // prior of spread, as scale_prior counts
  array[2] real<lower=0> prior_spread; // its scale (no unit), its second argument
}
transformed data {
  #include sampled/partial_transformed_data.stan
  real log_rest_rows = dot_product(cell_rows, log1p_exp(cell_logit)); // what equal rows have in common
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_spread_family})[1]> spread_raw; // over its scale
}
transformed parameters {
  real spread = prior_spread[1] * spread_raw; // 1 / sqrt(concentration) of shares about their mean (no unit)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(spread | prior_spread_family, prior_spread);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += log_shares(-cell_logit, cell_rows, shortfall, log_rest_rows, concentrated, eta,
                         spread); // FAULT: of the rest
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
