// Planted fault: cells are weighted by roots of their weights; otherwise partial_pooling.
// Estimates with known standard errors, partial pooling; coefficients of other factors are sampled, for too many are
// crossed to be integrated out.
//
//   y[n] ~ normal(eta[n], se[n])
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Coefficients of the group are integrated out, and drawn afterwards.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns and levels are one cell: their weights, their mean and the squares about it are all they say.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75; Konstantopoulos (2011), Research Synthesis Methods
// 2:61.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include normal_cells.stanfunctions
}
data {
  #include sampled/data.stan
  vector[N] y; // estimate (its unit)
  vector<lower=0>[N] se; // its standard error (same unit)
  #include group_integrated/data.stan
}
transformed data {
  #include group_integrated/partial_transformed_data.stan
  real sigma = 1; // rows have variances of their own: standard errors are in the weights (no unit)
}
parameters {
  #include group_integrated/partial_parameters.stan
}
transformed parameters {
  #include group_integrated/partial_transformed_parameters.stan
}
model {
  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
  vector[M] raw = raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G); // as sampled_terms says
  target += lprior + raw_lpdf(raw | rep_vector(0, KO), C, K, L, centered, G);
  if (use_likelihood) {
    vector[J * KG + M] coefficient // of all levels, as raw; the group's are left out (units as beta)
      = append_row(rep_vector(0, J * KG), coefficients(raw, rep_vector(0, KO), C, K, L, centered, G));
    vector[NC] rest = known - X_cell * beta; // of each cell, less common columns (unit of eta)
    vector[NC] off = less_terms(rest, Z_cell, coefficient, place, KG, plain); // from the middle of its group (same)
    target += integrated_group(off, sqrt(cell_weight), squares, W, S, last_cell, factor_of_group(C, K, G, KG), sigma,
                               N); // FAULT: roots of weights
  }
}
generated quantities {
  #include group_integrated/partial_generated_quantities.stan
}
