// Planted fault: sensitivity and specificity are swapped; otherwise partial_pooling.
// Joint infection, partial pooling.
//   y[n] ~ neg_binomial_2(examined[n] exp(eta[n]), examined[n] / overdispersion^2) of eggs; binomial(trials[n], sens p
//   + (1 - spec) (1 - p)), p = inv_logit(eta[n]), of blood tests; binomial(trials[n], inv_logit(eta[n])) of snails
//   eta[n] = theta[j] in the first stream, which gives the latent log intensity theta its unit, else
//   alpha[s] + beta[s] (theta[j] - prior_mu[1]), beta > 0;  j = group_idx[n], s = stream[n] - 1
//   theta[j] ~ normal(mu + U[j] gamma, tau)
// Pooling: intensities are draws from one population, whose mean and sd are learnt; predictors move its mean.
// Parameterisation: chosen in data; non-centered: deviations in units of tau, good where villages say little of theta;
// centered: theta itself, less prior_mu[1], good where they say much.
// Sammel, Ryan & Legler (1997), J. of the Royal Statistical Society B 59:667 (one latent variable, several kinds of
// outcomes); Rogan & Gladen (1978), American Journal of Epidemiology 107:71 (sensitivity and specificity).
functions {
// Log density of the prior of a positive quantity, chosen by data; normalised, so that models can be compared.
// args[1] is in the quantity's unit: a scale, the upper end, the mean or the median; args[2] is a pure number.
//   1: half-normal(0, args[1])                     2: half-Cauchy(0, args[1])
//   3: half-Student-t(args[2] degrees, 0, args[1]) 4: uniform(0, args[1]); the program bounds the quantity above
//   5: exponential, mean args[1]                   6: gamma, mean args[1], shape args[2]
//   7: log-normal, median args[1], scale args[2] of the logarithm
real scale_prior_lpdf(real scale, int family, array[] real args) {
  if (family == 1) {
    return log(2) + normal_lpdf(scale | 0, args[1]);
  } else if (family == 2) {
    return log(2) + cauchy_lpdf(scale | 0, args[1]);
  } else if (family == 3) {
    return log(2) + student_t_lpdf(scale | args[2], 0, args[1]);
  } else if (family == 5) {
    return exponential_lpdf(scale | 1 / args[1]);
  } else if (family == 6) {
    return gamma_lpdf(scale | args[2], args[2] / args[1]);
  } else if (family == 7) {
    return lognormal_lpdf(scale | log(args[1]), args[2]);
  }
  return -log(args[1]);
}
// Three kinds of streams, given eta on the scale of their links. 1, eggs: negative binomial, the sum over the people
// examined, whose counts have the mean exp(eta) and the size phi. 2, blood tests: binomial out of trials, of people who
// are infected with probability inv_logit(eta), and errors of the test as known. 3, snails: binomial out of trials.

// The rows of a kind.
array[] int rows_of_kind(array[] int kind, int asked) {
  array[size(kind)] int which;
  int n = 0;
  for (i in 1 : size(kind)) {
    if (kind[i] == asked) {
      n += 1;
      which[n] = i;
    }
  }
  return which[1 : n];
}

// Probability of a positive test, and of a negative one: neither is the other taken from 1, which would round.
vector share_positive(vector eta, vector specificity, vector sensitivity) { // FAULT: their order, below too
  return sensitivity .* inv_logit(eta) + (1 - specificity) .* inv_logit(-eta);
}
vector share_negative(vector eta, vector specificity, vector sensitivity) {
  return (1 - sensitivity) .* inv_logit(eta) + specificity .* inv_logit(-eta);
}

// eta of all rows: intensity itself in the first stream, and alpha + beta (intensity - centre) in each other one.
vector stream_eta(vector intensity, array[] int stream, real centre, vector alpha, vector beta) {
  return append_row(centre, alpha)[stream] + append_row(1, beta)[stream] .* (intensity - centre);
}

// Size of the negative binomial counts of one person; what no row reads where no stream counts eggs.
real size_of_counts(vector overdispersion) {
  return rows(overdispersion) ? inv_square(overdispersion[1]) : 1;
}

// Log probability of all rows together.
real stream_counts_lpmf(array[] int y, vector eta, array[] int kind, array[] int trials, vector examined,
                        vector sensitivity, vector specificity, real phi) {
  array[size(rows_of_kind(kind, 1))] int e = rows_of_kind(kind, 1);
  array[size(rows_of_kind(kind, 2))] int b = rows_of_kind(kind, 2);
  array[size(rows_of_kind(kind, 3))] int s = rows_of_kind(kind, 3);
  real log_p = 0;
  if (size(e) > 0) {
    log_p += neg_binomial_2_log_lpmf(y[e] | log(examined[e]) + eta[e], examined[e] * phi);
  }
  if (size(b) > 0) {
    vector[size(b)] positive = to_vector(y[b]);
    vector[size(b)] negative = to_vector(trials[b]) - positive;
    log_p += sum(lgamma(positive + negative + 1) - lgamma(positive + 1) - lgamma(negative + 1))
             + dot_product(positive, log(share_positive(eta[b], sensitivity[b], specificity[b])))
             + dot_product(negative, log(share_negative(eta[b], sensitivity[b], specificity[b])));
  }
  if (size(s) > 0) {
    log_p += binomial_logit_lpmf(y[s] | trials[s], eta[s]);
  }
  return log_p;
}

// Log probability of each row.
vector stream_counts(array[] int y, vector eta, array[] int kind, array[] int trials, vector examined,
                     vector sensitivity, vector specificity, real phi) {
  vector[size(y)] log_p;
  vector[size(y)] positive = share_positive(eta, sensitivity, specificity); // of snails, which have both 1: infected
  vector[size(y)] negative = share_negative(eta, sensitivity, specificity);
  for (n in 1 : size(y)) {
    if (kind[n] == 1) {
      log_p[n] = neg_binomial_2_log_lpmf(y[n] | log(examined[n]) + eta[n], examined[n] * phi);
    } else {
      log_p[n] = lchoose(trials[n], y[n]) + y[n] * log(positive[n]) + (trials[n] - y[n]) * log(negative[n]);
    }
  }
  return log_p;
}

array[] int stream_counts_rng(vector eta, array[] int kind, array[] int trials, vector examined, vector sensitivity,
                              vector specificity, real phi) {
  array[rows(eta)] int y;
  vector[rows(eta)] positive = share_positive(eta, sensitivity, specificity); // of snails, which have both 1: infected
  for (n in 1 : rows(eta)) {
    if (kind[n] == 1) {
      real rate = gamma_rng(examined[n] * phi, fmax(phi * exp(-eta[n]), 1e-300));
      y[n] = poisson_rng(fmin(fmax(rate, 1e-300), 1e9)); // what poisson_rng takes
    } else {
      y[n] = binomial_rng(trials[n], fmin(positive[n], 1));
    }
  }
  return y;
}

// Log density of independent priors of positive quantities, each as scale_prior has it.
real scale_priors_lpdf(vector quantity, array[] int family, array[] vector args) {
  real log_density = 0;
  for (k in 1 : size(family)) {
    log_density += scale_prior_lpdf(quantity[k] | family[k], {args[1, k], args[2, k]});
  }
  return log_density;
}

// Upper ends of positive quantities in units of their priors' scales: only the uniform prior has one.
vector raw_ends(array[] int family) {
  vector[size(family)] end = rep_vector(positive_infinity(), size(family));
  for (k in 1 : size(family)) {
    end[k] = family[k] == 4 ? 1 : end[k];
  }
  return end;
}
}
data {
  int<lower=1> N; // number of rows: one for each stream that a village has
  int<lower=1> J; // number of villages
  int<lower=0> L; // number of predictors of villages
  int<lower=1, upper=3> S; // number of streams; the first gives the intensity its unit
  int<lower=0, upper=1> E; // number of streams that count eggs
  array[N] int<lower=1, upper=J> group_idx; // village of each row
  array[N] int<lower=1, upper=S> stream; // stream of each row
  array[N] int<lower=1, upper=3> kind; // what it counts: 1 eggs, 2 people with a positive test, 3 infected snails
  matrix[J, L] U; // predictors of villages (their units)
  array[N] int<lower=0> y; // the count
  array[N] int<lower=0> trials; // people or snails tested; 0 of eggs
  vector<lower=0>[N] examined; // people (slides) whose eggs were counted; 1 of others
  vector<lower=0>[N] sensitivity; // of the blood test, at most 1 (no unit); 1 of others
  vector<lower=0>[N] specificity; // of the blood test, at most 1 (no unit); 1 of others
  int<lower=0, upper=1> centered; // 1: theta itself is sampled; 0: its deviations in units of tau
  array[2] real prior_mu; // normal(location, scale) of mu (log scale); its location is where alpha is meant
  array[2] vector[L] prior_gamma; // normal(location, scale) of gamma (log scale per unit of the predictor)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (log scale), its second argument
  array[2] vector[S - 1] prior_alpha; // normal(location, scale) of alpha (log odds)
  array[S - 1] int<lower=1, upper=7> prior_beta_family; // which prior of beta: see scale_prior.stanfunctions
  array[2] vector<lower=0>[S - 1] prior_beta; // its scale (log odds per unit of theta), its second argument
  array[E] int<lower=1, upper=7> prior_overdispersion_family; // which prior of overdispersion
  array[2] vector<lower=0>[E] prior_overdispersion; // its scale (no unit), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (log scale)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left out
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // mean where predictors are 0 (log scale)
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  real<lower=0, upper=raw_ends({prior_tau_family})[1]> tau_raw; // sd of deviations in units of its prior's scale
  vector[S - 1] alpha_raw; // levels of streams in units of their priors (no unit)
  vector<lower=0, upper=raw_ends(prior_beta_family)>[S - 1] beta_raw; // slopes in units of their priors' scales
  vector<lower=0, upper=raw_ends(prior_overdispersion_family)>[E] overdispersion_raw; // in units of its prior's scale
  vector[J] theta_raw; // theta less prior_mu[1] (log scale) where centered, else standardised deviations
}
transformed parameters {
  vector[L] gamma = prior_gamma[1] + prior_gamma[2] .* gamma_raw; // of U (log scale per its unit)
  real tau = prior_tau[1] * tau_raw; // sd of intensities beyond predictors (log scale)
  vector[S - 1] alpha = prior_alpha[1] + prior_alpha[2] .* alpha_raw; // of other streams at prior_mu[1] (log odds)
  vector[S - 1] beta = prior_beta[1] .* beta_raw; // slopes of other streams (log odds per unit of theta)
  vector[E] overdispersion = prior_overdispersion[1] .* overdispersion_raw; // 1 / root of the size of one person's eggs
  vector[J] theta = centered * prior_mu[1] + (1 - centered) * (mu + U * gamma)
                    + (centered ? 1 : tau) * theta_raw; // intensity of each village (log scale)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + normal_lpdf(alpha | prior_alpha[1], prior_alpha[2])
                + normal_lpdf(gamma | prior_gamma[1], prior_gamma[2])
                + scale_priors_lpdf(beta | prior_beta_family, prior_beta)
                + scale_priors_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion); // top level
}
model {
  target += lprior; // what is sampled and what has a prior differ by constants: no Jacobian is due
  theta_raw ~ normal(centered * (mu - prior_mu[1] + U * gamma), centered ? tau : 1);
  if (use_likelihood) {
    vector[N] eta = stream_eta(theta[group_idx], stream, prior_mu[1], alpha, beta); // of rows (unit of their stream)
    target += stream_counts_lpmf(y | eta, kind, trials, examined, sensitivity, specificity,
                                 size_of_counts(overdispersion));
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated counts
  if (generate) {
    vector[N] eta = stream_eta(theta[group_idx], stream, prior_mu[1], alpha, beta); // of rows (unit of their stream)
    log_lik = stream_counts(y, eta, kind, trials, examined, sensitivity, specificity, size_of_counts(overdispersion));
    y_rep = stream_counts_rng(eta, kind, trials, examined, sensitivity, specificity, size_of_counts(overdispersion));
  }
}
