"""The table of number formats of pandas' JSON (contract, 3.3), for targets cast to float and for text targets."""

from __future__ import annotations

from support.cases import Case, error_like, told

FLOATS = {
    "whole": ("3.0", "3.0"),
    "integer": ("3", "3.0"),
    "third": ("1/3", "0.3333333333"),
    "rounded up": ("1.00000000015", "1.0000000002"),
    "sum of tenths": ("0.1 + 0.2", "0.3"),
    "small": ("1e-5", "0.00001"),
    "smaller": ("1.234e-7", "0.0000001234"),
    "last digit": ("1e-10", "0.0000000001"),
    "rounded to the last digit": ("5e-11", "0.0000000001"),
    "rounded to nothing": ("4.9e-11", "0.0"),
    "minus zero": ("-0.0", "0.0"),
    "minus almost zero": ("-1e-12", "-0.0"),
    "single precision": ("np.float32(0.1)", "0.1000000015"),
    "twelve digits and more": ("123456789012.123456789", "123456789012.1234588623"),
    "1e15": ("1e15", "1000000000000000.0"),
    "1e16": ("1e16", "10000000000000000.0"),
    "above 1e16": ("1.5e16", "1.5e+16"),
    "seventeen digits": ("12345678901234567.0", "1.23456789e+16"),
    "1e22": ("1e22", "1e+22"),
    "1e300": ("1e300", "1e+300"),
    "not a number": ("float('nan')", "null"),
    "infinite": ("float('inf')", "null"),
    "minus infinite": ("-float('inf')", "null"),
    "nothing": ("None", "null"),
    "true": ("True", "1.0"),
    "numeric text": ("'1.5'", "1.5"),
    "negative": ("-2.25", "-2.25"),
    "huge integer": ("2**63", "9.223372037e+18"),
}

TEXTS = {
    "text": ("'héllo \"w\" a/b\\n'", '"h\\u00e9llo \\"w\\" a\\/b\\n"'),
    "integer": ("3", "3"),
    "true": ("True", "true"),
    "nested": ("[1, {'k': 2}]", '[1,{"k":2}]'),
    "object": ("{'a': [1]}", '{"a":[1]}'),
    "slash in a key": ("{'a/b': 'é'}", '{"a\\/b":"\\u00e9"}'),
    "beyond the basic plane": ("'\\U0001f600'", '"\\ud83d\\ude00"'),
    "control characters": ("'\\x00\\x1f\\t\\x7f'", '"\\u0000\\u001f\\t\x7f"'),
    "empty": ("''", '""'),
}


def one(name: str, expression: str, written: str) -> Case:
    return Case(
        f"number, {name}",
        told(f"pd.DataFrame({{'p': [{expression}]}})"),
        body=f'{{"predictions":[{written}]}}'.encode(),
    )


def text(name: str, expression: str, written: str) -> Case:
    column = f"pd.DataFrame({{'completion': pd.Series([{expression}], dtype=object)}})"
    return Case(f"value, {name}", told(column), body=f'{{"predictions":[{written}]}}'.encode())


CASES = {
    "hooks_regression": [
        *(one(name, *pair) for name, pair in FLOATS.items()),
        Case("number, text", told("pd.DataFrame({'p': ['abc']})"), 500,
             error_like("ERROR: could not convert string to float: 'abc'")),
        Case("number, mixed", told("pd.DataFrame({'p': [1.5, None, 2]})"), body=b'{"predictions":[1.5,null,2.0]}'),
    ],
    "hooks_anomaly": [one("third", "1/3", "0.3333333333"), one("above one", "7", "7.0")],
    "text": [text(name, *pair) for name, pair in TEXTS.items()],
}  # fmt: skip
