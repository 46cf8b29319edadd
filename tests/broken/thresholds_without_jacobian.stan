// Planted fault: the prior of shares is one of thresholds without its Jacobian; otherwise partial_pooling.
// Ordered categories, cumulative logit, partial pooling.
//
//   P(y[n] <= k) = inv_logit(threshold[k] - eta[n]), k = 1 ... categories - 1
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
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
// Log of the probability that a logistic variable about 0 lies between low and high; either may be infinite.
// inv_logit(high) (1 - inv_logit(low)) (1 - exp(low - high)): nothing cancels far from 0.
vector log_between(vector low, vector high) {
  return log_inv_logit(high) + log_inv_logit(-low) + log1m_exp(low - high);
}

// The thresholds with one below the first and one above the last category.
vector with_ends(vector threshold) {
  return append_row(append_row(negative_infinity(), threshold), positive_infinity());
}

// Log density of thresholds whose categories have shares where the linear predictor is 0 that are
// dirichlet(a, ..., a): that of the shares, and the Jacobian: each threshold moves the share below it by its
// logistic density. Betancourt (2019), Ordinal regression, section 2.2.
real induced_dirichlet_lpdf(vector threshold, real a) {
  int n = rows(threshold) + 1;
  vector[n + 1] ends = with_ends(threshold);
  return lgamma(n * a) - n * lgamma(a) + (a - 1) * sum(log_between(head(ends, n), tail(ends, n)));
  // FAULT: no Jacobian
}

// How many rows each category has; y has the category of each cell.
vector rows_by_category(array[] int y, vector n_rows, int categories) {
  vector[categories] total = rep_vector(0, categories);
  for (c in 1 : size(y)) {
    total[y[c]] += n_rows[c];
  }
  return total;
}

// Log density of ordered categories: cells of so many rows each, which share category y and linear predictor eta. Of
// log_between the part that does not depend on eta is one for all rows of a category.
real log_ordered_rows(array[] int y, vector eta, vector n_rows, vector category_rows, vector threshold) {
  int n = rows(threshold) + 2;
  vector[n - 1] low = head(with_ends(threshold), n - 1);
  vector[n - 1] high = tail(with_ends(threshold), n - 1);
  return dot_product(n_rows, log_inv_logit(high[y] - eta) + log_inv_logit(eta - low[y]))
         + dot_product(category_rows, log1m_exp(low - high));
}
}
data {
  #include sampled/data.stan
  int<lower=2> categories; // number of categories, in order
  array[N] int<lower=1, upper=categories> y; // category of each row
  vector<lower=0>[NC] cell_rows; // rows of each cell
  real<lower=0> prior_threshold; // concentration of the Dirichlet prior of the shares at eta = 0 (no unit)
}
transformed data {
  #include sampled/partial_transformed_data.stan
  array[NC] int cell_y = y[cell_row]; // category of the rows of each cell
  vector[categories] category_rows = rows_by_category(cell_y, cell_rows, categories); // rows of each category
}
parameters {
  #include sampled/partial_parameters.stan
  ordered[categories - 1] threshold; // between categories, in the place of an intercept (log odds)
}
transformed parameters {
  #include sampled/partial_transformed_parameters.stan
  lprior += induced_dirichlet_lpdf(threshold | prior_threshold);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += log_ordered_rows(cell_y, eta, cell_rows, category_rows, threshold);
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
