"""Recommenders behind one seam, so that arms differ only in what they are meant to differ in.

    training.TrainingData ─▶ fitted.fit ─▶ Fitted ─▶ pipeline.Pipeline.slates ─▶ slates.Slates
    (logs before as_of)      (one file a strategy)   (rules, cold ladder)        (n, k) items

A strategy is one file here and one line in `experiments.strategies`.
"""
