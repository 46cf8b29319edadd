  vector<lower=0>[NC] cell_weight; // of each cell: the weights of its rows, 1 or 1 / se^2, added up
  vector[NC] cell_mean; // weighted mean of its outcomes, or of their logs (unit of eta)
  real<lower=0> squares; // of outcomes about the means of their cells, weighted, added up over all rows
  array[J] int<lower=1, upper=NC> last_cell; // of each group, whose cells stand side by side
