"""The files of jobs under the real Snakemake: it removes, refuses, follows and overwrites nothing of a user's, and what
does not stand as it was put there is not "up to date"."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stemma import strays
from tests.stemma.conftest import ALL_RUN, Toy, jobs
from tests.stemma.store.test_placement import identity
from tests.stemma.strays import plant_outside, snapshot

ALL_HIT = [(rule, "hit") for rule, _ in ALL_RUN]
VIEW = """
rule page:
    input:
        final="results/final.txt",
    output:
        page="results/report/page.pem",
    shell:
        "python -m stemma keys results/report && mv results/report/models.pem {output.page}"

attach("""
BENCHMARK = """    benchmark:
        "results/benchmarks/first.tsv"
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

rule second:"""


def aside(toy: Toy) -> list[Path]:
    """All that was set aside."""
    return sorted((toy.path / "results/.aside").rglob("*"))


def as_anybody(*command: str) -> list[str]:
    """A command without root's right to write where the mode of a file forbids it."""
    if os.geteuid():
        return list(command)
    rights = "-dac_override,-dac_read_search,-fowner"
    return ["setpriv", "--bounding-set", rights, "--inh-caps", rights, *command]


DAMAGES = {
    "parts/b.txt": strays.damage_delete,  # which no job reads
    "final.txt": strays.damage_truncate,
    "parts/a.txt": strays.damage_replace,
    "joined.txt": strays.damage_in_place,
    "parts/manifest.json": strays.damage_by_link,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_seen_and_put_right(built: Toy, name: str):
    kept = {file: (built.path / "results" / file).read_bytes() for file in DAMAGES}
    DAMAGES[name](built.path / "results" / name)
    done = built.snakemake()
    assert done.returncode == 0, done.stderr
    first = {"parts": 0, "joined.txt": 1, "final.txt": 2}[name.split("/")[0]]
    assert [rule for rule, _ in jobs(done)] == [rule for rule, _ in ALL_RUN[first:]]
    assert {file: (built.path / "results" / file).read_bytes() for file in DAMAGES} == kept
    assert not (built.path / "results" / name).is_symlink()
    assert built.build() == []


def test_whatever_is_touched_copied_or_linked_elsewhere_is_up_to_date(built: Toy, tmp_path_factory):
    """Stamps differ, bytes do not; they are read once."""
    for file in (built.path / "results").rglob("*"):
        if file.is_file():
            os.utime(file, (2e9, 2e9))
    (built.path / "results/parts/a.txt").rename(built.path / "a.txt")
    shutil.copyfile(built.path / "a.txt", built.path / "results/parts/a.txt")
    (built.path / "also.txt").hardlink_to(built.path / "results/final.txt")
    assert built.build() == []
    copied = Toy(tmp_path_factory.mktemp("copied"))
    subprocess.run(["cp", "-r", f"{built.path}/.", copied.path], check=True)
    shutil.rmtree(copied.path / ".snakemake")
    for file in copied.path.rglob("*"):
        os.utime(file, (2e9, 2e9))
    for name in ("text.txt", "results/joined.txt"):  # inputs that are younger than what was made of them
        os.utime(copied.path / name, (3e9, 3e9))
    assert copied.build() == []
    (copied.path / "results/parts/a.txt").chmod(0)
    done = subprocess.run(as_anybody(*copied.command()), cwd=copied.path, env=copied.environment, check=False)
    assert done.returncode == 0
    assert copied.build() == []


def test_views_are_up_to_date_without_snakemakes_memory(built: Toy):
    built.replace("Snakefile", "\nattach(", VIEW)
    assert built.build("results/report/page.pem") == []
    page = built.path / "results/report/page.pem"
    first = page.stat().st_ino
    shutil.rmtree(built.path / ".snakemake")
    os.utime(built.path / "results/final.txt", (3e9, 3e9))
    done = built.snakemake("results/report/page.pem")
    assert "Nothing to be done" in done.stderr
    assert page.stat().st_ino == first
    page.write_bytes(strays.TEXT)
    done = built.snakemake("results/report/page.pem")
    assert (done.returncode, page.read_bytes() == strays.TEXT) == (0, False), done.stderr
    assert [path.read_bytes() for path in aside(built) if path.is_file()] == [strays.TEXT]
    built.replace("llm/other.py", "'!'", "'?'")
    built.build("results/report/page.pem")
    assert "Nothing to be done" in built.snakemake("results/report/page.pem").stderr


@pytest.mark.parametrize("some", [strays.STRAYS[n : n + 3] for n in range(0, len(strays.STRAYS), 3)])
def test_what_stands_where_an_output_belongs_is_set_aside(toy: Toy, tmp_path_factory, some: tuple):
    """Before anything was built, when Snakemake would remove what is there."""
    outside = plant_outside(tmp_path_factory.mktemp("outside"))
    (toy.path / "results/parts").mkdir(parents=True)
    places = dict(zip(("parts/manifest.json", "joined.txt", "final.txt"), some, strict=False))
    for name, stray in places.items():
        stray(toy.path / "results" / name, outside)
    before, kept = {name: identity(toy.path / "results" / name) for name in places}, snapshot(outside)
    assert toy.build() == ALL_RUN
    found = {name: next(path for path in aside(toy) if str(path).endswith(f"/{name}")) for name in places}
    assert {name: identity(path) for name, path in found.items()} == before
    assert snapshot(outside) == kept
    assert toy.build() == []


def test_a_job_that_fails_removes_nothing_of_the_users(built: Toy):
    """Not what came while it ran either."""
    built.replace("scripts/s/second.py", "return {}", "raise ValueError('broken')")
    line, target = "python -m stemma run scripts/s/{rule}.py {params.flags}", "results/joined.txt"
    more = f"rm -f {target}; echo mine > {target}; {line}"
    built.replace("Snakefile", f'"{line}"\n\nrule third', f'"{more}"\n\nrule third')
    done = built.snakemake()
    assert done.returncode != 0
    assert "broken" in done.stderr
    assert [path.read_text() for path in aside(built) if path.is_file()] == ["mine\n"]


def test_nothing_is_written_through_a_log_or_a_benchmark(built: Toy, tmp_path_factory):
    outside = plant_outside(tmp_path_factory.mktemp("outside"))
    built.replace("Snakefile", BENCHMARK.split("\n", 2)[2], BENCHMARK)
    for name in ("logs/first.log", "benchmarks/first.tsv"):
        place = built.path / "results" / name
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        strays.link_to_file(place, outside)
    kept = snapshot(outside)
    assert built.build("--config", "times=3") == ALL_RUN
    assert snapshot(outside) == kept
    assert sum(path.is_symlink() for path in aside(built)) == 2
    tsv = built.path / "results/benchmarks/first.tsv"
    (built.path / "kept.tsv").hardlink_to(tsv)
    before = tsv.read_text()
    assert built.build("--config", "times=4") == ALL_RUN
    assert (built.path / "kept.tsv").read_text() == before


@pytest.mark.parametrize("way", ["results/parts", "results/logs", "results/.records", "results/.records/.jobs"])
def test_a_link_on_the_way_is_one_line(toy: Toy, tmp_path_factory, way: str):
    outside = plant_outside(tmp_path_factory.mktemp("outside"))
    kept = snapshot(outside)
    (toy.path / way).parent.mkdir(parents=True)
    (toy.path / way).symlink_to(outside / "precious")
    done = toy.snakemake()
    assert done.returncode != 0
    [error] = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    assert f"{way} is a link, and the engine goes through none to write; move it away and run again" in error
    assert snapshot(outside) == kept


def test_who_is_not_root_can_build_again(toy: Toy):
    """Artifacts are read-only files, which Snakemake takes for protected ones."""
    for arguments, expected in (((), ALL_RUN), (("--config", "times=3"), ALL_RUN), ((), ALL_HIT)):
        command = as_anybody(*toy.command(*arguments))
        done = subprocess.run(command, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)
        assert done.returncode == 0, done.stderr
        assert jobs(done) == expected


def test_another_rules_files_are_snakemakes_own(built: Toy):
    """A rule without the engine goes by time, and sees a result that came back from the store as new."""
    plain = "\nrule plain:\n    input: 'results/final.txt'\n    output: 'plain.txt'\n    shell: 'cp {input} {output}'\n"
    built.replace("Snakefile", "\nattach(", f"{plain}\nattach(")

    def copy(*arguments: str) -> str:
        done = built.snakemake(*arguments)
        assert done.returncode == 0, done.stderr
        return built.read("plain.txt")

    first = copy("plain.txt")
    other = copy("plain.txt", "--config", "times=3")
    built.build("results/final.txt")
    assert copy("plain.txt") == first != other


def test_clean_takes_what_the_engine_put_there_alone(built: Toy, tmp_path_factory):
    outside = plant_outside(tmp_path_factory.mktemp("outside"))
    for stray in strays.STRAYS:
        stray(built.path / "results/parts" / stray.__name__, outside)
    kept = snapshot(outside)
    (built.path / "results/thesis").mkdir()
    (built.path / "results/thesis/text").write_bytes(strays.TEXT)
    (built.path / "results/joined.txt").unlink()
    (built.path / "results/joined.txt").write_bytes(strays.TEXT)
    mine = snapshot(built.path / "results/parts", "a.txt", "b.txt", "manifest.json")
    done = subprocess.run(
        [sys.executable, "-m", "stemma", "clean"], cwd=built.path, capture_output=True, text=True, check=True
    )
    assert "not the engine's, or changed since, and so left: results/joined.txt" in done.stdout
    assert snapshot(built.path / "results/parts") == mine
    assert (built.path / "results/joined.txt").read_bytes() == strays.TEXT
    assert (built.path / "results/thesis/text").read_bytes() == strays.TEXT
    assert not (built.path / "results/final.txt").exists()
    assert snapshot(outside) == kept
    assert built.build() == ALL_HIT
    assert {"joined.txt", *(stray.__name__ for stray in strays.STRAYS)} <= {path.name for path in aside(built)}


def test_clean_leaves_what_the_store_has_lost(built: Toy):
    shutil.rmtree(built.path / "results/.store/objects")
    before = built.read("results/final.txt")
    subprocess.run([sys.executable, "-m", "stemma", "clean"], cwd=built.path, check=True)
    assert built.read("results/final.txt") == before
