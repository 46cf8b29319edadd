  matrix[NC, PS] X_cell = X[cell_row, shared]; // shared columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  vector[KG] rate = rates(K, G, centered, rep_vector(0, KG)); // deviations from beta need no shift (no unit)
  matrix[KG * J, PS] carry = carried(inside, rate, J); // as inside, times rate
  vector[KG] origin // prior means of centered coefficients (units as beta)
    = origins(K, G, centered, head(means_of_columns(prior_beta[ : , 1], own, KO), KG));
