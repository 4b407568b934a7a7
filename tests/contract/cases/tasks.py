"""CustomTask classes (contract, 4.10)."""

from __future__ import annotations

from support.cases import Case, error, told
from support.wire import csv

FAILED = "Model 'score' hook failed to make predictions. Exception: "

CASES = {
    "task_regression": [
        Case("predict", csv(b"a,b\n1,2\n0.5,0.25\n"), body=b'{"predictions":[3.0,0.75]}'),
        Case("raises", told("[][1]"), 500, error(FAILED + "IndexError('list index out of range')")),
        Case("returns an array", told("np.zeros(1)"), 500,
             error(FAILED + "ValueError(\"score must return a dataframe, but received <class 'numpy.ndarray'>\")")),
        Case("no extra output", told("pd.DataFrame({'Predictions': [1.0], 'e': [2.0]})"), 500, error(
            "Regression, Text Generation, Agentic Workflow and anomaly predictions must contain only 1 column. "
            "Your predictions have 2 columns")),
    ],
    "task_binary": [
        Case("predict", csv(b"p\n0.25\n1\n"), body=b'{"predictions":[{"yes":0.25,"no":0.75},{"yes":1.0,"no":0.0}]}'),
    ],
}  # fmt: skip
