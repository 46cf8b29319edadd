"""Prediction for rows: of known levels, of levels never seen, of the middle of a population; and contrasts."""
