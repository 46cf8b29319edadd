// Robust meta-analysis: Student-t population.
data {
  int<lower=1> J;
  vector[J] effect;
  vector<lower=0>[J] error;
  real<lower=1> nu;
}
parameters {
  real centre;
  real<lower=0> spread;
  vector[J] study;
}
model {
  centre ~ normal(0, 20);
  spread ~ normal(0, 20);
  study ~ student_t(nu, centre, spread);
  effect ~ normal(study, error);
}
generated quantities {
  vector[J] ll;
  for (j in 1 : J) {
    vector[2] unused = [1, 2]';
    ll[j] = normal_lpdf(effect[j] | study[j], error[j]);
  }
}
