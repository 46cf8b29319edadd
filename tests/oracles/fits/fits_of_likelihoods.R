# Maxima of likelihoods by glmmTMB and ordinal, for fits.json; Rscript fits_of_likelihoods.R FOLDER writes data and fits there.
suppressMessages({library(glmmTMB); library(ordinal); library(jsonlite); library(lme4); library(MASS); library(nlme)})
to <- commandArgs(TRUE)[1]
made <- list()
keep <- function(data, name) write.csv(data, file.path(to, paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
levels_of <- function(model, data) {
  used <- intersect(all.vars(formula(model)), names(data))
  found <- Filter(function(v) is.factor(data[[v]]), used)
  setNames(lapply(found, function(v) levels(data[[v]])), found)
}
term <- function(v) {
  sd <- as.numeric(attr(v, "stddev")); rho <- if (length(sd) > 1) attr(v, "correlation")[2, 1] else NULL
  list(sd = I(sd), rho = rho)
}
add <- function(id, data, formula, family, model, own, levels) {
  b <- summary(model)$coefficients$cond
  fixed <- setNames(lapply(seq_len(nrow(b)), function(i) unname(b[i, 1:2])), rownames(b))
  made[[length(made) + 1]] <<- list(id = id, data = data, formula = formula, levels = levels, method = "Laplace",
    family = family, fitted_with = paste("glmmTMB", packageVersion("glmmTMB")), fixed = fixed,
    terms = unname(lapply(VarCorr(model)$cond, term)), residual_sd = NULL, own = own, logLik = as.numeric(logLik(model)))
}
tight <- glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-12))

ind <- data.frame(subject = factor(as.character(Indometh$Subject), levels = as.character(1:6)), time_h = Indometh$time, conc = Indometh$conc)
keep(ind, "indometh")
m <- glmmTMB(conc ~ log(time_h) + (1 | subject), ind, Gamma("log"), control = tight)
add("indometh-gamma-laplace", "indometh", "conc ~ log(time_h) + (1 | subject)", "gamma", m, list(variation = sigma(m)), setNames(list(), character(0)))
co2 <- data.frame(plant = as.character(CO2$Plant), type = CO2$Type, treatment = CO2$Treatment, conc = CO2$conc, uptake = CO2$uptake)
keep(co2, "co2")
m <- glmmTMB(uptake ~ type * treatment + log(conc) + (1 | plant), co2, Gamma("log"), control = tight)
add("co2-gamma-laplace", "co2", "uptake ~ type * treatment + log(conc) + (1 | plant)", "gamma", m, list(variation = sigma(m)),
    list(type = levels(co2$type), treatment = levels(co2$treatment)))
chick <- data.frame(chick = as.character(ChickWeight$Chick), day = ChickWeight$Time, diet = factor(paste0("d", ChickWeight$Diet)), weight_g = ChickWeight$weight)
keep(chick, "chick_weight")
m <- glmmTMB(weight_g ~ day * diet + (day | chick), chick, Gamma("log"), control = tight)
add("chick_weight-gamma-laplace", "chick_weight", "weight_g ~ day * diet + (day | chick)", "gamma", m, list(variation = sigma(m)), list(diet = levels(chick$diet)))

gas <- data.frame(crude = as.character(Gasoline$Sample), end_point = Gasoline$endpoint, vapor = Gasoline$vapor, share = Gasoline$yield / 100)
keep(gas, "gasoline")
m <- glmmTMB(share ~ end_point + vapor + (1 | crude), gas, beta_family(), control = tight)
add("gasoline-beta-laplace", "gasoline", "share ~ end_point + vapor + (1 | crude)", "beta", m, list(spread = sigma(m)^-0.5), setNames(list(), character(0)))
st <- data.frame(region = as.character(state.region), income = state.x77[, "Income"], murder = state.x77[, "Murder"], graduates = state.x77[, "HS Grad"] / 100)
st$region <- gsub(" ", "_", st$region)
keep(st, "states")
m <- glmmTMB(graduates ~ income + murder + (1 | region), st, beta_family(), control = tight)
add("states-beta-laplace", "states", "graduates ~ income + murder + (1 | region)", "beta", m, list(spread = sigma(m)^-0.5), setNames(list(), character(0)))
ucb <- as.data.frame(UCBAdmissions); ucb <- reshape(ucb, idvar = c("Gender", "Dept"), timevar = "Admit", direction = "wide")
ucb <- data.frame(department = as.character(ucb$Dept), gender = ucb$Gender, admitted = ucb$Freq.Admitted, applied = ucb$Freq.Admitted + ucb$Freq.Rejected)
ucb$share <- ucb$admitted / ucb$applied
keep(ucb, "admissions")
m <- glmmTMB(share ~ gender + (1 | department), ucb, beta_family(), control = tight)
add("admissions-beta-laplace", "admissions", "share ~ gender + (1 | department)", "beta", m, list(spread = sigma(m)^-0.5), list(gender = levels(ucb$gender)))

m <- glmmTMB(cbind(admitted, applied - admitted) ~ gender + (1 | department), ucb, betabinomial(), control = tight)
add("admissions-betabinomial-laplace", "admissions", "admitted | trials(applied) ~ gender + (1 | department)", "beta_binomial_rows", m, list(overdispersion = sigma(m)^-0.5), list(gender = levels(ucb$gender)))
cb <- data.frame(herd = as.character(cbpp$herd), period = factor(paste0("p", cbpp$period)), incidence = cbpp$incidence, size = cbpp$size)
keep(cb, "cbpp")
m <- glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cb, betabinomial(), control = tight)
add("cbpp-betabinomial-laplace", "cbpp", "incidence | trials(size) ~ period + (1 | herd)", "beta_binomial_rows", m, list(overdispersion = sigma(m)^-0.5), list(period = levels(cb$period)))
ome <- data.frame(child = paste0("c", OME$ID), age = OME$Age, loud = OME$Loud, noise = OME$Noise, correct = OME$Correct, trials = OME$Trials)
ome <- aggregate(cbind(correct, trials) ~ child + loud + noise, ome, sum)
keep(ome, "ome")
m <- glmmTMB(cbind(correct, trials - correct) ~ loud + noise + (1 | child), ome, betabinomial(), control = tight)
add("ome-betabinomial-laplace", "ome", "correct | trials(trials) ~ loud + noise + (1 | child)", "beta_binomial_rows", m, list(overdispersion = sigma(m)^-0.5), list(noise = levels(ome$noise)))

owls <- data.frame(nest = gsub(" ", "_", as.character(Owls$Nest)), food = Owls$FoodTreatment, parent = Owls$SexParent, brood = Owls$BroodSize, calls = Owls$SiblingNegotiation)
keep(owls, "owls")
zi <- function(id, m, formula, family, own, levels) {
  add(id, "owls", formula, family, m, own, levels)
  z <- summary(m)$coefficients$zi
  made[[length(made)]]$zi <<- setNames(lapply(seq_len(nrow(z)), function(i) unname(z[i, 1:2])), rownames(z))
}
lv <- list(food = levels(owls$food), parent = levels(owls$parent))
f <- calls ~ food * parent + offset(log(brood)) + (1 | nest)
m <- glmmTMB(f, owls, poisson(), ziformula = ~ 1, control = tight)
zi("owls-zip-laplace", m, "calls ~ food * parent + offset(log(brood)) + (1 | nest)", "zero_inflated_poisson", list(), lv)
m <- glmmTMB(f, owls, nbinom2(), ziformula = ~ 1, control = tight)
zi("owls-zinb-laplace", m, "calls ~ food * parent + offset(log(brood)) + (1 | nest)", "zero_inflated_negative_binomial", list(overdispersion = sigma(m)^-0.5), lv)
m <- glmmTMB(f, owls, poisson(), ziformula = ~ food + parent, control = tight)
zi("owls-zip-zi_formula-laplace", m, "calls ~ food * parent + offset(log(brood)) + (1 | nest)", "zero_inflated_poisson", list(), lv)

clm_add <- function(id, data, formula, m, levels) {
  s <- summary(m)$coefficients; a <- names(m$alpha)
  made[[length(made) + 1]] <<- list(id = id, data = data, formula = formula, levels = levels, method = "Laplace",
    family = "cumulative", fitted_with = paste("ordinal", packageVersion("ordinal")),
    threshold = setNames(lapply(a, function(n) unname(s[n, 1:2])), a),
    fixed = setNames(lapply(names(m$beta), function(n) unname(s[n, 1:2])), names(m$beta)),
    terms = unname(lapply(VarCorr(m), term)), residual_sd = NULL, own = list(), logLik = as.numeric(logLik(m)))
}
ct <- clmm.control(gradTol = 1e-7, maxIter = 200)
w <- data.frame(judge = paste0("j", wine$judge), temp = wine$temp, contact = wine$contact, rating = paste0("r", wine$rating))
keep(w, "wine")
m <- clmm(rating ~ temp + contact + (1 | judge), wine, control = ct)
clm_add("wine-clmm-laplace", "wine", "rating ~ temp + contact + (1 | judge)", m, list(rating = paste0("r", 1:5), temp = levels(wine$temp), contact = levels(wine$contact)))
s <- data.frame(respondent = paste0("p", soup$RESP), product = soup$PROD, sureness = paste0("s", soup$SURENESS))
keep(s, "soup")
m <- clmm(SURENESS ~ PROD + (1 | RESP), soup, control = ct)
clm_add("soup-clmm-laplace", "soup", "sureness ~ product + (1 | respondent)", m, list(sureness = paste0("s", 1:6), product = levels(soup$PROD)))
va <- VerbAgg; va <- va[as.integer(va$id) <= 100, ]; va$id <- droplevels(va$id)
v <- data.frame(person = paste0("p", va$id), item = as.character(va$item), anger = va$Anger, btype = va$btype, resp = va$resp)
keep(v, "verbagg_ordered")
m <- clmm(resp ~ Anger + btype + (1 | id) + (1 | item), va, control = ct)
clm_add("verbagg-clmm-laplace", "verbagg_ordered", "resp ~ anger + btype + (1 | person) + (1 | item)", m, list(resp = levels(va$resp), btype = levels(va$btype)))
write(toJSON(made, auto_unbox = TRUE, digits = 12, null = "null"), file.path(to, "made.json"))
for (x in made) cat(x$id, x$logLik, "\n")
