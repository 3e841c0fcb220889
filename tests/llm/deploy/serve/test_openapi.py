"""schemathesis makes requests of the OpenAPI page, such as fit it and such as do not: the server answers as it says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from llm.deploy.serve.app import ServerSettings
from llm.package.hf_directory import write_directory

CALLS = ("/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize")
MODES = [(path, mode) for path in CALLS for mode in GenerationMode] + [("/v1/models/{name}", GenerationMode.POSITIVE)]
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def operations(serving, tmp_path_factory, random_lm, tokenizer_files) -> Iterator[dict[str, APIOperation]]:
    """The page's operations by path, of a server whose answers are short."""
    model, directory = random_lm(0, context_length=32), tmp_path_factory.mktemp("short")
    write_directory(directory, model.config.to_hf(), model, tokenizer_files.values())
    with serving(ServerSettings(max_open=8), {"base": directory}) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        yield {found.ok().path: found.ok() for found in schema.get_all_operations()}


@pytest.mark.parametrize(("path", "mode"), MODES, ids=str)
def test_a_call_answers_as_the_page_says(operations, path: str, mode: GenerationMode) -> None:
    """No crash, no status or type that is not stated, and what does not fit is refused. (That all that fits is accepted
    is not asked: it depends on the model's context and vocabulary, too.)"""
    operation = operations[path]

    @BOUNDED
    @given(operation.as_strategy(mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    ask()
