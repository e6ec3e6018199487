"""Faults planted on purpose: does `ablab diagnose` find each of them, and raise no alarm where there is none?

faults     what is planted: into the data, into the recipe, into the starting weights
trainings  a small training a fault and seed
"""
