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
