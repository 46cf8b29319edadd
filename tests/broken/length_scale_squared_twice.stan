// Planted fault: the length scale is squared before the kernel squares it; otherwise partial_pooling.
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
// A Gaussian process over a curve, and the integral of the curve, by kernel: 1 squared exponential, 2 Matern 3/2,
// 3 Matern 5/2 (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, eq. 4.9 and 4.17). The integrals
// of the kernels: O'Hagan (1991), Journal of Statistical Planning and Inference 29:245, in closed form.

// Covariance of the values at points x (square of the unit of the estimates).
matrix curve_cov(array[] real x, int kernel, real amplitude, real length_scale) {
  if (kernel == 1) {
    return gp_exp_quad_cov(x, amplitude, square(length_scale)); // FAULT: squared twice
  } else if (kernel == 2) {
    return gp_matern32_cov(x, amplitude, length_scale);
  }
  return gp_matern52_cov(x, amplitude, length_scale);
}

// Integral of the correlation from distance 0 to d, which is data (unit of the points); odd in d.
real correlation_area(real d, int kernel, real length_scale) {
  if (kernel == 1) {
    return length_scale * sqrt(pi() / 2) * erf(d / (sqrt(2) * length_scale));
  }
  real c = sqrt(kernel == 2 ? 3 : 5);
  real s = c * (d < 0 ? -d : d) / length_scale;
  real area = kernel == 2 ? 2 - (2 + s) * exp(-s) : (8 - (8 + 5 * s + square(s)) * exp(-s)) / 3;
  return (d < 0 ? -1 : 1) * length_scale / c * area;
}

// Integral over t between the limits of the correlation of the values at each x and at t (unit of the points).
vector area_with(array[] real x, array[] real limits, int kernel, real length_scale) {
  vector[size(x)] area;
  for (n in 1 : size(x)) {
    area[n] = correlation_area(x[n] - limits[1], kernel, length_scale)
              + correlation_area(limits[2] - x[n], kernel, length_scale);
  }
  return area;
}

// Double integral of the correlation over an interval of this width (square of the unit of the points).
real area_of_area(real width, int kernel, real length_scale) {
  if (kernel == 1) {
    real u = width / length_scale;
    return 2 * square(length_scale) * (sqrt(pi() / 2) * u * erf(u / sqrt(2)) + expm1(-0.5 * square(u)));
  }
  real s = sqrt(kernel == 2 ? 3 : 5) * width / length_scale;
  if (kernel == 2) {
    return 2 * square(length_scale) / 3 * (2 * s - 3 + (3 + s) * exp(-s));
  }
  return 2 * square(length_scale) / 5 * (8 * s / 3 - 5 + (5 + 7 * s / 3 + square(s) / 3) * exp(-s));
}

// Where the rows of each of J groups begin when they are sorted by group, counted from 1; at last one past the end.
array[] int starts(array[] int group_idx, int J) {
  array[J + 1] int start = rep_array(1, J + 1);
  for (j in 1 : J) {
    start[j + 1] = start[j];
    for (n in 1 : size(group_idx)) {
      start[j + 1] += group_idx[n] == j;
    }
  }
  return start;
}

// The place of each row's point among the distinct ones, in the order in which these come first.
array[] int places(array[] real x) {
  array[size(x)] int place;
  int n_distinct = 0;
  for (n in 1 : size(x)) {
    place[n] = 0;
    for (m in 1 : n - 1) {
      if (x[m] == x[n]) {
        place[n] = place[m];
      }
    }
    if (place[n] == 0) {
      n_distinct += 1;
      place[n] = n_distinct;
    }
  }
  return place;
}

// Covariance of the values at the rows of a curve (n x n) where its level and its slope vary too: Z is (n, 0 or 1).
matrix rows_cov(array[] real x, matrix Z, int kernel, real level_sd, vector slope_sd, real amplitude,
                real length_scale) {
  matrix[size(x), size(x)] cov = square(level_sd) + curve_cov(x, kernel, amplitude, length_scale);
  return cols(Z) ? cov + tcrossprod(slope_sd[1] * Z) : cov;
}

// The same with the integral between the limits as the last (n + 1 x n + 1). The integral of a line about the middle
// is that of its level.
matrix joint_cov(array[] real x, matrix Z, array[] real limits, int kernel, real level_sd, vector slope_sd,
                 real amplitude, real length_scale) {
  int n = size(x);
  real width = limits[2] - limits[1];
  vector[n] with = width * square(level_sd)
                   + square(amplitude) * area_with(x, limits, kernel, length_scale);
  matrix[n + 1, n + 1] cov;
  cov[1 : n, 1 : n] = rows_cov(x, Z, kernel, level_sd, slope_sd, amplitude, length_scale);
  cov[1 : n, n + 1] = with;
  cov[n + 1, 1 : n] = with';
  cov[n + 1, n + 1] = square(width * level_sd) + square(amplitude) * area_of_area(width, kernel, length_scale);
  return cov;
}

// Level and, where T is 1, rise of the mean of a curve, drawn given y: of normal priors, with B = (1, Z) and the
// covariance of the values about that mean. Rasmussen & Williams (2006), eq. 2.41.
vector line_rng(vector y, vector se, matrix B, matrix cov, vector location, vector scale, int use_likelihood) {
  int n = rows(y);
  matrix[cols(B), cols(B)] precision = diag_matrix(inv_square(scale));
  vector[cols(B)] pull = location ./ square(scale);
  if (use_likelihood) {
    matrix[n, n] root = cholesky_decompose(add_diag(cov, square(se)));
    matrix[n, cols(B)] white = mdivide_left_tri_low(root, B);
    precision += crossprod(white);
    pull += white' * mdivide_left_tri_low(root, y);
  }
  matrix[cols(B), cols(B)] root = cholesky_decompose(precision);
  vector[cols(B)] z = to_vector(normal_rng(mdivide_left_tri_low(root, pull), 1));
  return mdivide_right_tri_low(z', root)';
}

// The curve at its rows and, last, its integral, drawn given y: from their prior mean and covariance (n + 1), and
// what the rows say by their errors. By eigenvectors, for values at close points are one number but for rounding.
vector curve_rng(vector y, vector se, vector mean, matrix cov, int use_likelihood) {
  int n = rows(y);
  vector[n + 1] centre = mean;
  matrix[n + 1, n + 1] spread = cov;
  if (use_likelihood) {
    matrix[n, n] root = cholesky_decompose(add_diag(cov[1 : n, 1 : n], square(se)));
    matrix[n, n + 1] gain = mdivide_left_tri_low(root, cov[1 : n,  : ]);
    centre = mean + gain' * mdivide_left_tri_low(root, y - mean[1 : n]);
    spread = cov - crossprod(gain);
  }
  vector[n + 1] z;
  vector[n + 1] variance = eigenvalues_sym(spread);
  for (i in 1 : n + 1) {
    z[i] = sqrt(fmax(variance[i], 0)) * normal_rng(0, 1);
  }
  return centre + eigenvectors_sym(spread) * z;
}
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
