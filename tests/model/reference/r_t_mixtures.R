# Makes r_t_mixtures.csv: what R's teigen and EMMIXskew find for mixtures of t distributions, from a classification.
#
#     python test_t_mixtures_of_r.py /tmp      # in tests/model: writes the data, with the classification in the last column
#     Rscript reference/r_t_mixtures.R /tmp reference/r_t_mixtures.csv
#
# Made with R 4.2.2, teigen 2.2.2 and EMMIXskew 1.0.3. teigen runs until an iteration gains less than 1e-10 nats, with M
# steps that iterate to 1e-10; EMMIXskew until the relative gain is less than 1e-12.

library(teigen)
library(EMMIXskew)
arguments <- commandArgs(trailingOnly = TRUE)
table <- as.matrix(read.csv(file.path(arguments[1], "heavy_tails.csv"), header = FALSE))
X <- unname(table[, -ncol(table)])
labels <- table[, ncol(table)] + 1
G <- max(labels)
digits <- function(x) paste(sprintf("%.10g", x), collapse = " ")
rows <- list()
add <- function(package, model, dof, loglik, bic, found, means) {
  rows[[length(rows) + 1]] <<- data.frame(
    package = package, model = model, degrees_of_freedom = dof, log_likelihood = sprintf("%.9f", loglik),
    bic = if (is.na(bic)) "" else sprintf("%.9f", bic), dof = digits(found), means = digits(means)
  )
}

# teigen names volume, orientation, shape and degrees of freedom: constrained, unconstrained or the identity.
ours <- c(
  CII = "EII", UII = "spherical", CIC = "EEI", UIC = "VEI", CIU = "EVI", UIU = "diag", CCC = "tied",
  UCC = "VEE", CUC = "EEV", UUC = "VEV", CCU = "EVE", UCU = "VVE", CUU = "EVV", UUU = "full"
)
start <- list()
start[[G]] <- labels
for (name in names(ours)) {
  for (dof in c("U", "4", if (name %in% c("CII", "CCC", "UUU")) "C")) {
    fixed <- dof == "4"
    fit <- teigen(
      X, Gs = G, models = paste0(name, if (fixed) "C" else dof), init = start, scale = FALSE,
      dfstart = if (fixed) 4 else 10, dfupdate = if (fixed) FALSE else "numeric", eps = c(1e-10, 1e-10),
      convstyle = "lop", verbose = FALSE
    )
    label <- c(U = "varying", C = "common", `4` = "4")[[dof]]
    bic <- if (fixed) NA else fit$bic # it counts degrees of freedom that are fixed
    add("teigen", ours[[name]], label, fit$logl, bic, rep_len(fit$parameters$df, G), t(fit$parameters$mean))
  }
}

# ncov: one diagonal for all; a matrix, a diagonal, a variance for each. One matrix for all (1) fails on these rows.
for (ncov in 2:5) {
  fit <- EmSkew(X, G, distr = "mvt", ncov = ncov, clust = labels, itmax = 100000, epsilon = 1e-12, debug = FALSE)
  add("EMMIXskew", c("tied", "EEI", "full", "diag", "spherical")[ncov], "varying", fit$loglik, NA, fit$dof, fit$mu)
}
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE, quote = FALSE)
