"""Predictors, executors and slots that tests control."""
