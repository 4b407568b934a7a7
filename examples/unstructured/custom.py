"""An unstructured model: any bytes in, any bytes out. This one counts words and answers in JSON."""

import json
from collections import Counter


def load_model(code_dir):
    return {"longest": 5}


def score_unstructured(model, data, query, **kwargs):
    """``data`` is text for text types, bytes otherwise; ``?longest=N`` asks for N words."""
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    wanted = int(query.get("longest", model["longest"]))
    words = Counter(word.strip(".,").lower() for word in text.split())
    return json.dumps(dict(words.most_common(wanted))), {"mimetype": "application/json"}
