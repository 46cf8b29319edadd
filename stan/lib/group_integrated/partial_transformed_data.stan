  matrix[NC, P] X_cell = X[cell_row]; // common columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  vector[KG] none = rep_vector(0, KG); // coefficients of groups have no means of other levels to lose (no unit)
  array[KG] vector[NC] W = weighted_columns(cell_weight, Z_cell, KG); // the group's columns times weights
  array[KG] matrix[J, KG] S = products_by_group(W, Z_cell, last_cell); // sums of products, by group
