"""What would have changed the answer: power-scaling of priors, other priors, and groups left out."""
