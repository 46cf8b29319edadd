// Planted fault: the covariance with the integral has the amplitude and not its square; otherwise no_pooling.
// The integral of curves, no pooling, curves integrated out.
//   y[n] ~ normal(f[j](x[n]), se[n]), j = group_idx[n]        theta[j] = integral of f[j] between the limits
//   f[j](x) = level_group[j] + slope_group[j] Z(x) + Gaussian process(amplitude_group[j], length_scale_group[j])
// Pooling: curves share nothing; each has hyperparameters of its own with fixed priors.
// Parameterisation: marginal. A curve is integrated out, level and slope included, for its rows are jointly normal; all
// of it is drawn afterwards with its integral, exactly, from their joint normal distribution: no sum over a grid.
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
    return gp_exp_quad_cov(x, amplitude, length_scale);
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
                   + amplitude * area_with(x, limits, kernel, length_scale); // FAULT: square(amplitude)
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
  vector[1 + T] location = append_row(prior_level[1], rep_vector(prior_slope[1], T)); // of level and slope
  vector[1 + T] scale = append_row(prior_level[2], rep_vector(prior_slope[2], T)); // their sds (unit of the estimates)
  matrix[N, 1 + T] B = append_col(ones_vector(N), Z); // what they are multiplied by (no unit)
}
parameters {
  vector<lower=0>[J] amplitude_group_raw; // amplitudes in units of their prior's scale (no unit)
  vector<lower=0>[J] length_scale_group_raw; // length scales in units of their prior's scale (no unit)
}
transformed parameters {
  vector[J] amplitude_group = prior_amplitude[1] * amplitude_group_raw; // sd about its line (unit of the estimates)
  vector[J] length_scale_group = prior_length_scale[1] * length_scale_group_raw; // over which it turns (of the points)
}
model {
  for (j in 1 : J) {
    array[start[j + 1] - start[j]] int own = order[start[j] : start[j + 1] - 1]; // its rows
    amplitude_group[j] ~ scale_prior(prior_amplitude_family, prior_amplitude); // a constant times the raw one:
    length_scale_group[j] ~ scale_prior(prior_length_scale_family, prior_length_scale); // no Jacobian is due
    if (use_likelihood) {
      matrix[size(own), size(own)] cov = rows_cov(x[own], Z[own], kernel, scale[1], scale[2 : 1 + T],
                                                  amplitude_group[j], length_scale_group[j]);
      y[own] ~ multi_normal_cholesky(B[own] * location, cholesky_decompose(add_diag(cov, square(se[own]))));
    }
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // integral of each curve (unit of the integral)
  vector[J] level_group; // level of each curve (unit of the estimates)
  vector[T * J] slope_group; // its rise over the interval (unit of the estimates)
  vector[generate ? N : 0] f; // value of the curve at each row (unit of the estimates)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated estimates (unit of the estimates)
  real lprior = 0; // log prior of all curves
  for (j in 1 : J) {
    array[start[j + 1] - start[j]] int own = order[start[j] : start[j + 1] - 1]; // its rows
    int n = size(own); // how many
    matrix[n + 1, n + 1] cov = joint_cov(x[own], Z[own], limits, kernel, 0, zeros_vector(T), amplitude_group[j],
                                         length_scale_group[j]); // of the curve about its line
    vector[1 + T] line = line_rng(y[own], se[own], B[own], cov[1 : n, 1 : n], location, scale, use_likelihood);
    if (generate) {
      vector[n + 1] both = curve_rng(y[own], se[own], append_row(B[own] * line, width * line[1]), cov, use_likelihood);
      f[own] = both[1 : n];
      theta[j] = both[n + 1];
      y_rep[own] = normal_rng(f[own], se[own]);
      for (row in own) {
        log_lik[row] = normal_lpdf(y[row] | f[row], se[row]);
      }
    }
    level_group[j] = line[1];
    slope_group[j : (T ? j : j - 1)] = line[2 : 1 + T];
    lprior += normal_lpdf(line | location, scale)
              + scale_prior_lpdf(amplitude_group[j] | prior_amplitude_family, prior_amplitude)
              + scale_prior_lpdf(length_scale_group[j] | prior_length_scale_family, prior_length_scale);
  }
}
