"""Class labels: matching, order, completion, ranges, sums, extra columns (contract, 4.6 and 4.7)."""

from __future__ import annotations

from typing import Any

from support.cases import Case, error, error_like, pandas_json, told

YES_NO = ["yes", "no"]


def frame(**columns: list[Any]) -> str:
    return f"pd.DataFrame({columns!r})"


def sends(name: str, expression: str, labels: list[str], *rows: list[float]) -> Case:
    return Case(name, told(expression), body=pandas_json(list(rows), labels))


def refused(name: str, expression: str, text: str) -> Case:
    return Case(name, told(expression), 500, error(text))


def refused_like(name: str, expression: str, pattern: str) -> Case:
    return Case(name, told(expression), 500, error_like("ERROR: " + pattern))


NOT_ONE = "Your prediction probabilities do not add up to 1. \n"
MISMATCH = r"Expected predictions to have columns \['yes', 'no'\], but encountered .*"

BINARY = [
    sends("model order kept", frame(no=[0.25], yes=[0.75]), ["no", "yes"], [0.25, 0.75]),
    sends("positive first", frame(yes=[0.75], no=[0.25]), YES_NO, [0.75, 0.25]),
    sends("case does not matter", frame(YES=[0.75], No=[0.25]), YES_NO, [0.75, 0.25]),
    sends("numbers match words", "pd.DataFrame({'1': [0.75], '0': [0.25]})", YES_NO, [0.75, 0.25]),
    sends("floats match words", "pd.DataFrame({0.0: [0.25], 1.0: [0.75]})", ["no", "yes"], [0.25, 0.75]),
    sends("booleans match words", "pd.DataFrame({True: [0.75], False: [0.25]})", YES_NO, [0.75, 0.25]),
    sends("words match words", "pd.DataFrame({'on': [0.75], 'False': [0.25]})", YES_NO, [0.75, 0.25]),
    refused_like("other labels", frame(a=[0.75], b=[0.25]), MISMATCH),
    refused_like("one named column", frame(yes=[0.75]), MISMATCH),
    refused_like("the same label twice", "pd.DataFrame([[0.5, 0.5]], columns=['yes', 'YES'])", MISMATCH),
    refused("extra column, a label missing", frame(yes=[0.75], No=[0.25], e=[1]), "\"['no'] not found in axis\""),
    Case(
        "extra columns",
        told(frame(yes=[0.75, 0.5], e1=["x/y", "z"], no=[0.25, 0.5], e2=[1.23456789012, None]), 2),
        body=b'{"predictions":[{"yes":0.75,"no":0.25},{"yes":0.5,"no":0.5}],"extraModelOutput":{"columns":["e1","e2"],'
        b'"index":[0,1],"data":[["x\\/y",1.2345678901],["z",null]]}}',
    ),
    refused("negative", frame(yes=[-0.5], no=[1.5]), "Your prediction probabilities have negative values"),
    refused("above one", frame(yes=[1.5], no=[0.5]), "Your prediction probabilities have values greater than 1"),
    sends("sum nearly one", frame(yes=[0.500001], no=[0.5]), YES_NO, [0.500001, 0.5]),
    refused("sum off", frame(yes=[0.50002, 0.5], no=[0.5, 0.5]), NOT_ONE + "[[0.50002 0.5    ]]"),
    refused(
        "sums off",
        frame(yes=[0.1, 0.25, 0.9, 0.5], no=[0.1, 0.25, 0.9, 0.5]),
        NOT_ONE + "[[0.1  0.1 ]\n [0.25 0.25]\n [0.9  0.9 ]]",
    ),
    refused("missing probability", "pd.DataFrame({'yes': [np.nan], 'no': [1.0]})", NOT_ONE + "[[nan  1.]]"),
    refused_like("text probability", frame(yes=["a"], no=["b"]), "'<' not supported between instances of .*"),
    Case("no rows out", told(frame(yes=[], no=[])), body=b'{"predictions":[]}'),
    sends("kwargs name the labels",
          "pd.DataFrame({kwargs['positive_class_label']: [1.0], kwargs['negative_class_label']: [0.0]})",
          YES_NO, [1.0, 0.0]),
]  # fmt: skip

MULTICLASS = [
    sends("model order kept", frame(c=[0.5], a=[0.25], b=[0.25]), ["c", "a", "b"], [0.5, 0.25, 0.25]),
    refused("sum off", frame(a=[0.5], b=[0.5], c=[0.5]), NOT_ONE + "[[0.5 0.5 0.5]]"),
    refused_like("too few", frame(a=[0.5], b=[0.5]), r"Expected predictions to have columns \['a', 'b', 'c'\].*"),
    refused_like("other labels", frame(a=[0.5], b=[0.25], d=[0.25]),
                 r"Expected predictions to have columns \['a', 'b', 'c'\], but encountered .*"),
    sends("kwargs name the labels", "pd.DataFrame([[0.5, 0.25, 0.25]], columns=kwargs['class_labels'])",
          ["a", "b", "c"], [0.5, 0.25, 0.25]),
    Case("extra column", told(frame(c=[0.5], a=[0.25], b=[0.25], e=[True])),
         body=b'{"predictions":[{"c":0.5,"a":0.25,"b":0.25}],"extraModelOutput":{"columns":["e"],"index":[0],'
              b'"data":[[true]]}}'),
]  # fmt: skip

MULTILABEL = [
    sends("sums are free", frame(b=[0.9], a=[0.8], c=[0.0]), ["b", "a", "c"], [0.9, 0.8, 0.0]),
    Case("missing probability", told("pd.DataFrame({'a': [np.nan], 'b': [1.0], 'c': [0.0]})"),
         body=b'{"predictions":[{"a":null,"b":1.0,"c":0.0}]}'),
    refused("above one", frame(a=[1.5], b=[0.5], c=[0.0]), "Your prediction probabilities have values greater than 1"),
]  # fmt: skip

CASES = {"hooks_binary": BINARY, "hooks_multiclass": MULTICLASS, "hooks_multilabel": MULTILABEL}
