"""Recipes of ``semiverse reproduce``: tables of publications as YAML, and how they are run and collated."""
