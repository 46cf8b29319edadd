// Every kind of variable, with values that tell its place, and on demand each way in which a run can go wrong.
data {
  int<lower=0, upper=4> fault; // 0 none, 1 reject() in model, 2 in transformed data, 3 NaN, 4 reject() in quantities
  int<lower=1> N;
  vector[N] y;
}
transformed data {
  if (fault == 2) {
    reject("these data are refused, N = ", N);
  }
}
parameters {
  real mu;
  vector[2] v;
}
model {
  mu ~ normal(0, 1);
  v ~ normal(mu, 1);
  if (fault == 1) {
    reject("never satisfied, mu = ", mu);
  }
  y ~ normal(mu, 1);
}
generated quantities {
  matrix[2, 3] m;
  array[2] vector[3] a;
  array[3, 2] int k;
  array[2] matrix[2, 3] b;
  row_vector[3] r = [1, 2, 3];
  real broken = fault == 3 ? not_a_number() : positive_infinity();
  array[1] real copy = {mu};
  for (i in 1 : 2) {
    for (j in 1 : 3) {
      m[i, j] = 10 * i + j;
      a[i][j] = 10 * i + j;
      k[j, i] = 10 * j + i;
      for (l in 1 : 2) {
        b[l][i, j] = 100 * l + 10 * i + j;
      }
    }
  }
  if (fault == 4 && mu > 0) {
    reject("a quantity is refused");
  }
}
