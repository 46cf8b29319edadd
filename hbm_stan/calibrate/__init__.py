"""Simulation-based calibration: does a program find back, as often as it says, what its model put into the data?"""

from hbm_stan.calibrate.posterior import posterior_calibration
from hbm_stan.calibrate.result import Calibration
from hbm_stan.calibrate.run import calibrate

__all__ = ["Calibration", "calibrate", "posterior_calibration"]
