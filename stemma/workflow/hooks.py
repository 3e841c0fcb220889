"""What happens when a run begins and ends, beside what the user's `onstart:`, `onsuccess:` and `onerror:` say.

Snakemake keeps one function for each of the three, the last that a Snakefile names. The engine's own (the lock, the
summary, what leaves results/) hold wherever in a Snakefile the user's stand, before `attach` or after it; also where
`attach` is called in a module that another Snakefile takes its rules from.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Act = Callable[[], None]


def before(workflow, event: str, act: Act) -> None:
    """Do this before what the user wants done. `event`: onstart, onsuccess or onerror."""
    hook_of(workflow, event).before.append(act)


def after(workflow, event: str, act: Act) -> None:
    """Do this once the user's is done."""
    hook_of(workflow, event).after.append(act)


@dataclass
class Hook:
    """All that one event makes happen. `theirs`: the function that Snakemake would call alone."""

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
    """The hook of an event, put in Snakemake's place when it is first asked for."""
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
    setattr(workflow, event, named_later)
    return hook
