"""A config file that cannot be read is one line: which file, which line of it, what to do."""

import subprocess

import pytest
from snakemake.common.configfile import load_configfile

from stemma.base.errors import StemmaError
from stemma.workflow.read_errors import mishap, refuse_repeated_keys
from tests.stemma.conftest import Toy

BROKEN = {
    "tab.yaml": (b"corpus:\n\t- a\n", ", line 2: a tab stands before it; YAML is indented with spaces"),
    "open.yaml": (b"corpus: [a\nb: 1\n", ", line 2: while parsing a flow sequence expected ',' or ']', but got ':';"),
    "list.yaml": (b"- a\n", " holds no mapping; write lines of `key: value`"),
    "latin.yaml": ("größe: 1\n".encode("latin-1"), " is not UTF-8 (byte 2); save it so"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_file(tmp_path, name):
    data, said = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Exception) as caught:
        load_configfile(tmp_path / name)
    assert mishap(caught.value).startswith(f"config file {tmp_path / name}{said}")


def test_a_key_that_stands_twice(tmp_path):
    """YAML's readers take the last one in silence."""
    (tmp_path / "a.yaml").write_text("seed: 1\npretrain:\n  steps: 2\n  warmup_steps: 3\n  steps: 4\n")
    with pytest.raises(StemmaError, match=r"a.yaml, line 5: steps stands in line 3 already, and only one of them"):
        refuse_repeated_keys([tmp_path / "a.yaml"])
    (tmp_path / "a.yaml").write_text("a: {steps: 1}\nb: [{steps: 1}, {steps: 2}]\nc: &x {steps: 1}\nd: {<<: *x}\n")
    refuse_repeated_keys([tmp_path / "a.yaml"])
    (tmp_path / "a.yaml").write_text("a: &x [*x]\nb: &y {c: *y}\n")  # what holds itself
    refuse_repeated_keys([tmp_path / "a.yaml"])


def test_a_dotted_key_on_the_command_line(toy: Toy):
    done = toy.snakemake("--config", "pretrain.steps=10")
    line = "error: --config takes key=value, and a block's key so: --config 'pretrain={steps: 10}'"
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, [line])


def test_other_errors_are_not_explained():
    assert mishap(FileNotFoundError(2, "No such file", "a.yaml")) is None


def test_before_the_workflow_is_read(toy: Toy):
    """Snakemake reads what --configfile names before anything of the workflow, which reads config.yaml itself."""
    (toy.path / "presets").mkdir()
    (toy.path / "presets/small.yaml").write_text("times: 1\n")
    done = toy.snakemake("--configfile", "small.yaml")
    line = "error: config file small.yaml does not exist; did you mean presets/small.yaml?"
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, [line])
    done = toy.snakemake("--configfile", "presets/small.yaml", "all")
    line = "error: config file all does not exist: --configfile takes all that follow; put targets first or after --"
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, [line])
    toy.replace("config.yaml", "times: 2", "times:\n\t2")
    done = toy.snakemake()
    line = "error: config file config.yaml, line 2: a tab stands before it; YAML is indented with spaces"
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, [line])


def test_a_source_that_is_not_there(toy: Toy):
    (toy.path / "text.txt").rename(toy.path / "texts.txt")
    done = toy.snakemake("--dry-run")
    assert done.returncode == 1
    assert done.stdout == "error: text.txt does not exist, and first reads it; did you mean texts.txt?\n"


def test_the_logger_alone_is_as_terse_as_the_profile(toy: Toy):
    """Without a profile that asks Snakemake to be quiet."""
    command = toy.command("--logger", "stemma")
    del command[3:5]
    done = subprocess.run(command, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["first", "second", "third"]
