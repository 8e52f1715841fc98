"""What becomes of each of scikit-learn's estimators when it is saved: the table of ``docs/estimators.md``.

``python -m bench.estimators`` tries them all and writes the table; ``--only NAME …`` prints single ones.
"""
