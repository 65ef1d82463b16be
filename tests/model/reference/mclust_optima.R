# Makes mclust_optima.csv: what R's mclust finds for each of its models from given classifications.
#
#     python test_mclust_types.py /tmp      # in tests/model: writes the data
#     Rscript reference/mclust_optima.R /tmp reference/mclust_optima.csv
#
# Made with R 4.2.2 and mclust 6.0.0. EM runs to a relative change of 1e-12, also within the M steps that iterate.

library(mclust)
arguments <- commandArgs(trailingOnly = TRUE)
control <- emControl(eps = .Machine$double.eps, tol = c(1e-12, 1e-12), itmax = c(20000, 5000))
rows <- list()
for (name in c("old_faithful", "iris", "wine")) {
  X <- as.matrix(read.csv(file.path(arguments[1], paste0(name, ".csv")), header = FALSE))
  tree <- hc(X, modelName = "VVV", use = "VARS")
  for (G in 1:4) {
    labels <- if (G == 1) rep(1, nrow(X)) else as.vector(hclass(tree, G))
    for (model in mclust.options("emModelNames")) {
      # The classification: that of a first fit, from a hierarchical one. Both programs are then near an optimum.
      first <- me(X, modelName = model, z = unmap(labels, groups = 1:G), control = control)
      given <- map(first$z)
      fit <- me(X, modelName = model, z = unmap(given, groups = 1:G), control = control)
      if (is.na(fit$loglik)) { # a class has fewer rows than features
        given <- cutree(hclust(dist(scale(X)), "ward.D2"), G)
        fit <- me(X, modelName = model, z = unmap(given, groups = 1:G), control = control)
      }
      rows[[length(rows) + 1]] <- data.frame(
        data = name, n_components = G, model = model, log_likelihood = sprintf("%.9f", fit$loglik),
        bic = sprintf("%.9f", bic(model, fit$loglik, nrow(X), ncol(X), G)),
        n_parameters = nMclustParams(model, ncol(X), G),
        labels = paste(given - 1, collapse = "")
      )
    }
  }
}
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE, quote = FALSE)
