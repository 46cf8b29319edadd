// Populations of events, complete pooling.
//
//   y[j] ~ normal(mu, se[j])        mu ~ beta(prior_mu)
//
// Pooling: all events have one value; they differ by the errors of their estimates only. Whether an event is seen then
// says nothing, as all are equally likely to be.
// Parameterisation: mu itself. Events given as posterior samples cannot be pooled so (sampled = 0 here).
// Loredo (2004), AIP Conference Proceedings 735:195; Mandel, Farr & Gair (2019), MNRAS 486:1086.
functions {
  #include event_nodes.stanfunctions
}
data {
  int<lower=1> J; // number of events
  vector[J] y; // estimate of each event; or the mean of its samples, their prior undone (no unit)
  vector<lower=0>[J] se; // standard error of each estimate; or the sd of the event's samples (no unit)
  int<lower=0, upper=1> sampled; // 1: events are given as posterior samples
  int<lower=1> K; // number of nodes: a grid, then samples or what precise events have of their own
  vector[K] node; // log odds of the value at each node
  vector<lower=0>[K] cell; // width of the cell about each node in log odds; 0 for a sample
  array[J] int<lower=1, upper=K> first; // the first node of each event
  array[J] int<lower=1, upper=K> size; // how many nodes each event has, one after the other
  int<lower=1> W; // number of weights: those of all events, one after the other
  vector<lower=0>[W] weight; // likelihood of an event at its node, times the node's share of the axis of log odds
  int<lower=0, upper=K> G; // number of nodes of the grid, which come first; 0 where every event is seen
  vector<lower=0>[G] seen; // detection probability at each node of the grid, times the node's share
  array[2] real<lower=0> prior_mu; // beta(a, b) of mu (no unit)
  int<lower=1, upper=7> prior_kappa_family; // which prior of kappa: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_kappa; // its scale, its second argument (no unit)
  array[2] real<lower=0> prior_theta; // beta(a, b) of each theta without pooling (no unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are left for afterwards
}
parameters {
  real<lower=0, upper=1> mu; // the value that all events share (no unit)
}
model {
  mu ~ beta(prior_mu[1], prior_mu[2]);
  if (use_likelihood) {
    y ~ normal(mu, se);
  }
}
generated quantities {
  vector[J] theta = rep_vector(mu, J); // value of each event: mu in every one (no unit)
  vector[generate ? J : 0] log_lik; // log density of each event
  vector[generate ? J : 0] y_rep; // replicated estimates (no unit)
  real lprior = beta_lpdf(mu | prior_mu[1], prior_mu[2]); // log prior of the top level
  for (j in 1 : (generate ? J : 0)) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = event_rng(theta[j], se[j], sampled);
  }
}
