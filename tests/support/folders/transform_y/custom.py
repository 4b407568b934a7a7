"""A transform hook of three arguments: adds y's sum as a column, or minus one where no y came."""


def load_model(code_dir):
    return "the model"


def transform(data, model, y):
    return data.assign(total=-1.0 if y is None else float(y.iloc[:, 0].sum()))
