  matrix[NC, P] X_cell = X[cell_row]; // common columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  vector[NC] known = cell_mean - offset_[cell_row]; // of each cell, what is to be explained (unit of eta)
  vector[KG] none = rep_vector(0, KG); // coefficients of groups have no means of other levels to lose (no unit)
  array[KG + KO] int plain = plain_columns(Z_cell); // whether a column is 1 in all cells
  array[KG] vector[NC] W = weighted_columns(cell_weight, Z_cell, KG); // the group's columns times weights
  array[KG] matrix[J, KG] S = products_by_group(W, Z_cell, last_cell); // sums of products, by group
