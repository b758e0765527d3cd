"""Figures, tables and findings of the studies, one file a study, made from the rows of its table."""
