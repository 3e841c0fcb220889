"""Runs the engine's actions at a run's begin and end, beside the user's `onstart:`, `onsuccess:` and `onerror:`.

Snakemake keeps one function for each of the three, the last that a Snakefile names. The engine's own actions (the lock,
the summary, the clearing of results/) hold wherever the user's stand, before `attach` or after it, and also where
`attach` is called in a module whose rules another Snakefile uses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from stemma.base.patches import put

Act = Callable[[], None]


def before(workflow, event: str, act: Act) -> None:
    """Run `act` before the user's handler. `event`: onstart, onsuccess or onerror."""
    hook_of(workflow, event).before.append(act)


def after(workflow, event: str, act: Act) -> None:
    """Run `act` after the user's handler."""
    hook_of(workflow, event).after.append(act)


@dataclass
class Hook:
    """All actions of one event. `theirs`: the user's handler, which Snakemake would call alone."""

    theirs: Callable
    before: list[Act] = field(default_factory=list)
    after: list[Act] = field(default_factory=list)

    def __call__(self, log: str) -> None:
        for act in self.before:
            act()
        self.theirs(log)
        for act in self.after:
            act()


def hook_of(workflow, event: str) -> Hook:
    """Return the hook of an event; the first call puts it in the place of Snakemake's handler."""
    kept = f"_{event}"
    hook = getattr(workflow, kept)
    if isinstance(hook, Hook):
        return hook
    hook, directive = Hook(hook), getattr(workflow, event)

    def named_later(function: Callable) -> None:
        directive(function)
        hook.theirs = hook.theirs if getattr(workflow, kept) is hook else getattr(workflow, kept)
        setattr(workflow, kept, hook)

    setattr(workflow, kept, hook)
    put(workflow, f"Workflow.{event}", named_later)
    return hook
