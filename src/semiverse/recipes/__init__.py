"""Recipes of ``semiverse reproduce``: tables of publications as YAML, and the configurations that they are made of."""
