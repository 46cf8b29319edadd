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

// The part of log_between that does not depend on eta, which is one for all rows of a category.
real log_categories(vector category_rows, vector threshold) {
  vector[rows(threshold) + 1] low = head(with_ends(threshold), rows(threshold) + 1);
  vector[rows(threshold) + 1] high = tail(with_ends(threshold), rows(threshold) + 1);
  return dot_product(category_rows, log1m_exp(low - high));
}

// Log density of ordered categories: cells of so many rows each, which share category y and linear predictor eta. With
// z the distance of eta from the middle of the thresholds, which lie 2 d apart, the part that depends on eta,
// -log(1 + exp(eta - high)) - log(1 + exp(low - eta)), is -|z| - log(exp(-d) (1 + exp(-2 |z|)) + (1 + exp(-2 d))
// exp(-|z|)):
// one logarithm, and no exponential is too large. The first and the last category have one threshold, from which
// z is counted: -(|z| + z) / 2 - log(1 + exp(-|z|)), and -(|z| - z) / 2 - log(1 + exp(-|z|)). As |z| in
// log_one_plus_exp.
real log_ordered_rows(array[] int y, vector eta, vector n_rows, vector end_rows, vector size_rows,
                      vector category_rows, vector threshold) {
  int n = rows(threshold) + 1;
  vector[n] between = rep_vector(0, n); // exp(-d); 0 at the ends, which have one threshold
  vector[n] middle = append_row(threshold, threshold[n - 1]);
  if (n > 2) {
    between[2 : (n - 1)] = exp(0.5 * (head(threshold, n - 2) - tail(threshold, n - 2)));
    middle[2 : (n - 1)] = 0.5 * (head(threshold, n - 2) + tail(threshold, n - 2));
  }
  vector[n] constant = between;
  constant[1] = 1;
  constant[n] = 1;
  vector[rows(eta)] z = eta - middle[y];
  vector[rows(eta)] size = sqrt(square(z) + 1e-300);
  vector[rows(eta)] near = exp(-size);
  return -dot_product(size_rows, size) - dot_product(end_rows, z)
         - dot_product(n_rows, log(constant[y] + near .* ((1 + square(between))[y] + near .* between[y])))
         + log_categories(category_rows, threshold);
}

// Half the rows of cells of the first category, minus half of those of the last: what z counts there; else 0.
vector rows_at_ends(array[] int y, vector n_rows, int categories) {
  vector[size(y)] at_end = rep_vector(0, size(y));
  for (c in 1 : size(y)) {
    if (y[c] == 1) {
      at_end[c] = 0.5 * n_rows[c];
    } else if (y[c] == categories) {
      at_end[c] = -0.5 * n_rows[c];
    }
  }
  return at_end;
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
  vector[NC] end_rows = rows_at_ends(cell_y, cell_rows, categories); // half of those at an end, with its sign
  vector[NC] size_rows = cell_rows - sqrt(square(end_rows)); // rows of each cell, of those at an end half
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
    target += log_ordered_rows(cell_y, eta, cell_rows, end_rows, size_rows, category_rows, threshold);
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
