data {
  int<lower=1> J;
  vector[J] effect;
  vector<lower=0>[J] error;
}
parameters {
  real centre;
}
model {
  centre ~ normal(0, 20);
  effect ~ normal(centre, error);
}
generated quantities {
  vector[J] ll;
  for (j in 1 : J) {
    ll[j] = normal_lpdf(effect[j] | centre, error[j]);
  }
}
