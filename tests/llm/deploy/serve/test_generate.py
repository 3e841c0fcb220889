"""The script that answers prompts."""

import json

import pytest

from llm.deploy.settings.generate import GenerateSettings
from llm.errors import InputError
from scripts.deploy import generate as script


def test_answers_file_is_the_same_every_time(hf_directory, tmp_path):
    directory = hf_directory("base")
    outputs = []
    for name in ("one.json", "two.json"):
        metrics = script.main(
            directory, tmp_path / name, settings=GenerateSettings(prompts=["Quid est?", "Tota"], max_new_tokens=8)
        )
        outputs.append((tmp_path / name).read_bytes())
    answers = json.loads(outputs[0])
    assert outputs[0] == outputs[1]
    assert [answer["prompt"] for answer in answers] == ["Quid est?", "Tota"]
    assert metrics["new_tokens"] == sum(answer["tokens"] for answer in answers)
    with pytest.raises(InputError, match="prompts: give a JSON list"):
        script.main(directory, tmp_path / "one.json", settings=GenerateSettings(prompts=[], max_new_tokens=8))
