"""Prediction for rows: of known levels, of levels never seen, of the middle of a population; and contrasts."""

from hbm_stan.new_rows.contrast import Contrast as Contrast
from hbm_stan.new_rows.contrast import contrast as contrast
from hbm_stan.new_rows.predict import Prediction as Prediction
from hbm_stan.new_rows.predict import predict as predict
