"""Anybody's results: scores from Python, tables, trackers and detections, judged and reported as a study of ours is.

    scores.py                          Python's lists and mappings   --+
    sheets, optuna, mlflow, wandb      a table of runs   --runs.py-->  +--> Reading --> Judgement --> View
    detections.py                      COCO's files and the truth    --+

No torch.
"""
