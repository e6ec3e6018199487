"""The study: from a YAML file to verdicts.

spec -> design -> plan -> run -> judge
"""
