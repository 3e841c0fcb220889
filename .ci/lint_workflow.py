"""`snakemake --lint`, without three kinds of findings.

* "Specify a conda environment or container for each rule": the environment is the virtual environment of envs/*.lock,
  the same for every rule; each record holds it whole.
* `{rule}` in a shell line is Snakemake's own variable, which its linter takes for one of the Snakefile's.
* The rule `serve` runs in the terminal until it is told to stop, and writes there.
"""

import subprocess
import sys

SILENCED = (
    "* Specify a conda environment or container for each rule.:",
    "* Shell command directly uses variable rule from outside of the rule:",
)
IN_THE_TERMINAL = ("Lints for rule serve ", "* No log directive defined:")


def main() -> int:
    """Print what is left; 1 if anything is, or if the linter could not read the workflow."""
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    place, left = "", []
    for line in lines:
        finding = line.strip()
        in_the_terminal = place.startswith(IN_THE_TERMINAL[0]) and finding == IN_THE_TERMINAL[1]
        if line.startswith("Lints for "):
            place = line
        elif finding.startswith("* ") and finding not in SILENCED and not in_the_terminal:
            left.append(f"{place} {finding}")
    if not any(line.startswith("Lints for ") for line in lines):
        left = lines[-5:]
    print(*left, sep="\n")
    print(f"snakemake --lint: {len(left)} findings")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main())
