# Makes mclust_prior.csv: what R's mclust finds with priorControl() from the classifications in mclust_optima.csv.
#
#     python test_mclust_types.py /tmp      # in tests/model: writes the data
#     Rscript reference/mclust_prior.R /tmp reference/mclust_optima.csv reference/mclust_prior.csv
#
# Made with R 4.2.2 and mclust 6.0.0, for the models for which mclust has a prior.

library(mclust)
arguments <- commandArgs(trailingOnly = TRUE)
control <- emControl(eps = .Machine$double.eps, tol = c(1e-13, 1e-13), itmax = c(20000, 5000))
models <- c("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "EEV", "VEV", "VVV")
optima <- read.csv(arguments[2], colClasses = "character")
optima <- optima[optima$model %in% models & optima$n_components %in% c("2", "4") & optima$data != "wine", ]
rows <- list()
for (i in seq_len(nrow(optima))) {
  row <- optima[i, ]
  X <- as.matrix(read.csv(file.path(arguments[1], paste0(row$data, ".csv")), header = FALSE))
  labels <- as.integer(strsplit(row$labels, "")[[1]])
  fit <- me(X, modelName = row$model, z = unmap(labels), prior = priorControl(), control = control)
  if (is.na(fit$loglik)) next # VEI with four components of Old Faithful
  sigma <- fit$parameters$variance$sigma
  rows[[i]] <- data.frame(
    data = row$data, n_components = row$n_components, model = row$model, log_likelihood = sprintf("%.9f", fit$loglik),
    first_variances = paste(sprintf("%.9g", sigma[1, 1, ]), collapse = " "), labels = row$labels
  )
}
write.csv(do.call(rbind, rows), arguments[3], row.names = FALSE, quote = FALSE)
