// The integral of curves, partial pooling, curves integrated out.
//   y[n] ~ normal(f[j](x[n]), se[n]), j = group_idx[n]        theta[j] = integral of f[j] between the limits
//   f[j](x) = level[j] + slope[j] Z(x) + Gaussian process(amplitude, length_scale)
//   level[j] ~ normal(level, level_sd)        slope[j] ~ normal(slope, slope_sd)
// Pooling: curves are draws from one population, whose hyperparameters are learnt from all of them.
// Parameterisation: marginal. A curve is integrated out, for its rows are jointly normal; it is drawn afterwards with
// its integral, exactly, from their joint normal distribution, and not by a sum over a grid.
// Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, sections 2.2 and 2.7; O'Hagan (1991), Journal
// of Statistical Planning and Inference 29:245 (the integral).
functions {
  #include scale_prior.stanfunctions
  #include curves.stanfunctions
}
data {
  int<lower=1> N; // number of rows: estimates at points
  int<lower=1> J; // number of curves
  array[N] int<lower=1, upper=J> group_idx; // curve of each row
  array[N] real x; // point of each row (unit of the points)
  vector[N] y; // estimate of the curve there (unit of the estimates)
  vector<lower=0>[N] se; // its standard error, taken as known (unit of the estimates)
  array[2] real limits; // of the integral, the lower one first (unit of the points)
  int<lower=1, upper=3> kernel; // 1: squared exponential, 2: Matern 3/2, 3: Matern 5/2
  int<lower=0, upper=1> T; // 1: the mean of a curve is a line, 0: it is constant
  #include curves/prior_data.stan
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: theta, f, log_lik and y_rep are left to be drawn afterwards
}
transformed data {
  real width = limits[2] - limits[1]; // of the interval (unit of the points)
  matrix[N, T] Z = rep_matrix((to_vector(x) - mean(limits)) / width, T); // points about the middle, in widths (no unit)
  array[N] int order = sort_indices_asc(group_idx); // rows curve by curve
  array[J + 1] int start = starts(group_idx, J); // where the rows of each curve begin in it
}
parameters {
  real<offset=prior_level[1], multiplier=prior_level[2]> level; // mean level of curves (unit of the estimates)
  real<lower=0> level_sd_raw; // level_sd in units of its prior's scale (no unit)
  vector<offset=prior_slope[1], multiplier=prior_slope[2]>[T] slope; // mean rise over the interval (same unit)
  vector<lower=0>[T] slope_sd_raw; // slope_sd in units of its prior's scale (no unit)
  real<lower=0> amplitude_raw; // amplitude in units of its prior's scale (no unit)
  real<lower=0> length_scale_raw; // length_scale in units of its prior's scale (no unit)
}
transformed parameters {
  real level_sd = prior_level_sd[1] * level_sd_raw; // sd of the levels of curves (unit of the estimates)
  vector[T] slope_sd = prior_slope_sd[1] * slope_sd_raw; // sd of their rises (unit of the estimates)
  real amplitude = prior_amplitude[1] * amplitude_raw; // sd of a curve about its line (unit of the estimates)
  real length_scale = prior_length_scale[1] * length_scale_raw; // distance over which it turns (unit of the points)
  real mu = width * level; // mean of the integrals of the population (unit of the integral)
  real tau = sqrt(square(width * level_sd) + square(amplitude) * area_of_area(width, kernel, length_scale)); // their sd
  real lprior = normal_lpdf(level | prior_level[1], prior_level[2])
                + normal_lpdf(slope | prior_slope[1], prior_slope[2])
                + scale_prior_lpdf(level_sd | prior_level_sd_family, prior_level_sd)
                + (T ? scale_prior_lpdf(slope_sd[1] | prior_slope_sd_family, prior_slope_sd) : 0)
                + scale_prior_lpdf(amplitude | prior_amplitude_family, prior_amplitude)
                + scale_prior_lpdf(length_scale | prior_length_scale_family, prior_length_scale); // of the top level
}
model {
  target += lprior; // each scale is a constant times its raw one: no Jacobian is due
  for (j in 1 : (use_likelihood ? J : 0)) {
    array[start[j + 1] - start[j]] int own = order[start[j] : start[j + 1] - 1]; // its rows
    matrix[size(own), size(own)] cov = rows_cov(x[own], Z[own], kernel, level_sd, slope_sd, amplitude, length_scale);
    y[own] ~ multi_normal_cholesky(level + Z[own] * slope, cholesky_decompose(add_diag(cov, square(se[own]))));
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // integral of each curve (unit of the integral)
  vector[generate ? N : 0] f; // value of the curve at each row (unit of the estimates)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated estimates (unit of the estimates)
  if (generate) {
    for (j in 1 : J) {
      array[start[j + 1] - start[j]] int own = order[start[j] : start[j + 1] - 1]; // its rows
      matrix[size(own) + 1, size(own) + 1] cov
        = joint_cov(x[own], Z[own], limits, kernel, level_sd, slope_sd, amplitude, length_scale);
      vector[size(own) + 1] both
        = curve_rng(y[own], se[own], append_row(level + Z[own] * slope, mu), cov, use_likelihood);
      f[own] = both[1 : size(own)];
      theta[j] = both[size(own) + 1];
    }
    y_rep = normal_rng(f, se);
    for (n in 1 : N) {
      log_lik[n] = normal_lpdf(y[n] | f[n], se[n]);
    }
  }
}
