// The integral of curves, complete pooling, the curve integrated out.
//   y[n] ~ normal(f(x[n]), se[n])        theta[j] = mu = integral of f between the limits, for all j
//   f(x) = level + slope Z(x) + Gaussian process(amplitude, length_scale)
// Pooling: all groups measured one and the same curve; they differ by their errors only.
// Parameterisation: marginal. The curve is integrated out, for all rows are jointly normal; it is drawn afterwards with
// its integral, exactly, from their joint normal distribution: no sum over a grid. Estimates at one point are combined.
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
  array[N] int place = places(x); // of each row among the distinct points
  int P = max(place); // number of distinct points
  array[P] real point; // these (unit of the points)
  matrix[P, T] line; // the same about the middle, in widths (no unit)
  vector[P] precision = zeros_vector(P); // of the estimates at each together (1 / square of the unit of the estimates)
  vector[P] total = zeros_vector(P); // sum of the estimates, weighted by theirs
  for (n in 1 : N) {
    point[place[n]] = x[n];
    line[place[n]] = Z[n];
    precision[place[n]] += inv_square(se[n]);
    total[place[n]] += y[n] * inv_square(se[n]);
  }
  vector[P] ybar = total ./ precision; // estimate at each point (unit of the estimates)
  vector[P] se_bar = inv_sqrt(precision); // its standard error (unit of the estimates)
}
parameters {
  real<offset=prior_level[1], multiplier=prior_level[2]> level; // level of the curve (unit of the estimates)
  vector<offset=prior_slope[1], multiplier=prior_slope[2]>[T] slope; // its rise over the interval (same unit)
  real<lower=0> amplitude_raw; // amplitude in units of its prior's scale (no unit)
  real<lower=0> length_scale_raw; // length_scale in units of its prior's scale (no unit)
}
transformed parameters {
  real amplitude = prior_amplitude[1] * amplitude_raw; // sd of the curve about its line (unit of the estimates)
  real length_scale = prior_length_scale[1] * length_scale_raw; // distance over which it turns (unit of the points)
  real lprior = normal_lpdf(level | prior_level[1], prior_level[2])
                + normal_lpdf(slope | prior_slope[1], prior_slope[2])
                + scale_prior_lpdf(amplitude | prior_amplitude_family, prior_amplitude)
                + scale_prior_lpdf(length_scale | prior_length_scale_family, prior_length_scale); // of the top level
}
model {
  target += lprior; // each scale is a constant times its raw one: no Jacobian is due
  if (use_likelihood) {
    matrix[P, P] cov = curve_cov(point, kernel, amplitude, length_scale);
    ybar ~ multi_normal_cholesky(level + line * slope, cholesky_decompose(add_diag(cov, square(se_bar))));
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // integral of the curve, the same in every group (unit of the integral)
  real mu; // that integral (unit of the integral)
  vector[generate ? N : 0] f; // value of the curve at each row (unit of the estimates)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated estimates (unit of the estimates)
  if (generate) {
    matrix[P + 1, P + 1] cov
      = joint_cov(point, line, limits, kernel, 0, zeros_vector(T), amplitude, length_scale);
    vector[P + 1] both
      = curve_rng(ybar, se_bar, append_row(level + line * slope, width * level), cov, use_likelihood);
    f = both[place];
    mu = both[P + 1];
    theta = rep_vector(mu, J);
    y_rep = normal_rng(f, se);
    for (n in 1 : N) {
      log_lik[n] = normal_lpdf(y[n] | f[n], se[n]);
    }
  }
}
