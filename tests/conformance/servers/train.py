"""``train.py FILE``: a small classifier with four numeric features, which takes missing values, written by joblib."""

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier

if __name__ == "__main__":
    rows, classes = load_iris(return_X_y=True)
    joblib.dump(HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(rows, classes), sys.argv[1])
