# Makes mclust_noise.csv: what R's mclust finds with noise, for each of its models, from given classifications.
#
#     python test_mclust_noise.py /tmp      # in tests/model: writes the data, with the classification in the last column
#     Rscript reference/mclust_noise.R /tmp reference/mclust_noise.csv
#
# Made with R 4.2.2 and mclust 6.0.0. EM runs to a relative change of 1e-12, also within the M steps that iterate.

library(mclust)
arguments <- commandArgs(trailingOnly = TRUE)
control <- emControl(eps = .Machine$double.eps, tol = c(1e-12, 1e-12), itmax = c(20000, 5000))
digits <- function(x) paste(sprintf("%.10g", x), collapse = " ")
rows <- list()
for (name in c("clutter", "tilted")) {
  table <- as.matrix(read.csv(file.path(arguments[1], paste0(name, ".csv")), header = FALSE))
  X <- table[, -ncol(table)]
  labels <- table[, ncol(table)] # -1 for noise
  G <- max(labels) + 1
  z <- matrix(0, nrow(X), G + 1)
  z[cbind(seq_len(nrow(X)), ifelse(labels < 0, G + 1, labels + 1))] <- 1
  Vinv <- hypvol(X, reciprocal = TRUE)
  for (model in mclust.options("emModelNames")) {
    fit <- me(X, modelName = model, z = z, Vinv = Vinv, control = control)
    rows[[length(rows) + 1]] <- data.frame(
      data = name, model = model, log_density = sprintf("%.12f", log(Vinv)),
      log_likelihood = sprintf("%.9f", fit$loglik),
      bic = sprintf("%.9f", bic(model, fit$loglik, nrow(X), ncol(X), G, noise = TRUE)),
      icl = sprintf("%.9f", bic(model, fit$loglik, nrow(X), ncol(X), G, noise = TRUE) + 2 * sum(log(apply(fit$z, 1, max)))),
      n_parameters = nMclustParams(model, ncol(X), G, noise = TRUE),
      weights = digits(fit$parameters$pro), means = digits(fit$parameters$mean)
    )
  }
}
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE, quote = FALSE)
