# Point estimates of lme4 or glmmTMB: Rscript mixed_models.R PACKAGE STRUCTURE TABLE.csv prints names and numbers.
given <- commandArgs(trailingOnly = TRUE)
package <- given[1]
frame <- read.csv(given[3], colClasses = c(g = "character"))
suppressMessages(library(package, character.only = TRUE))
logistic <- given[2] == "slopes_logistic"
formula <- if (given[2] == "crossed") y ~ 1 + (1 | g) + (1 | h) else y ~ x + (1 + x | g)
start <- proc.time()[["elapsed"]]
fit <- if (package == "glmmTMB") {
  glmmTMB(formula, frame, family = if (logistic) binomial() else gaussian())
} else if (logistic) {
  glmer(formula, frame, family = binomial())
} else {
  lmer(formula, frame)
}
cat("seconds", proc.time()[["elapsed"]] - start, "\n")
beta <- if (package == "glmmTMB") fixef(fit)$cond else fixef(fit)
cat(sprintf("beta[%d] %.10g\n", seq_along(beta) - 1, beta), sep = "")
cat("version", as.character(packageVersion(package)), "\n")
