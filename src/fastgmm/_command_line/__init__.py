"""``python -m fastgmm``: versions, and a benchmark beside scikit-learn."""
