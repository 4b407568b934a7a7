"""Runs each row through a langchain chain: a prompt, a language model, and a parser into a Pydantic 1 model."""

import sys

import langchain
import pandas as pd
import pydantic
from langchain.llms.base import LLM
from langchain.output_parsers import PydanticOutputParser
from langchain.prompts import PromptTemplate

versions = {"langchain": langchain.__version__, "pydantic": pydantic.VERSION}
print("custom.py uses " + ", ".join(f"{name} {version}" for name, version in versions.items()), file=sys.stderr)


class Answer(pydantic.BaseModel):
    prediction: float


class Calculator(LLM):
    """A language model without a network: it reads the two numbers out of the prompt."""

    a: float = 2.0
    b: float = -0.5

    @property
    def _llm_type(self):
        return "calculator"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        values = dict(word.split("=") for word in prompt.split("\n")[0].split(", "))
        total = self.a * float(values["a"]) + self.b * float(values["b"])
        return f'Here you are: {{"prediction": {total}}}'


def load_model(code_dir):
    parser = PydanticOutputParser(pydantic_object=Answer)
    prompt = PromptTemplate(
        template="a={a}, b={b}\n{instructions}",
        input_variables=["a", "b"],
        partial_variables={"instructions": parser.get_format_instructions()},
    )
    return prompt | Calculator() | parser


def score(data, model, **kwargs):
    answers = model.batch(data.to_dict("records"))
    return pd.DataFrame({"Predictions": [answer.prediction for answer in answers]})
