"""Predicts how long jobs will take, from the records of earlier ones, and when a run will end."""

import heapq
import statistics

from stemma.provenance.index import Index


class Durations:
    """Seconds that jobs took: the latest of the same rule and output, else the median over the rule's jobs."""

    def __init__(self, index: Index):
        self.same: dict[tuple[str, str], float] = {}
        by_rule: dict[str, list[float]] = {}
        for rule, path, seconds in index.rows(
            "SELECT rule, path, seconds FROM record JOIN subject ON subject.record = record.id"
            " WHERE seconds > 0 ORDER BY finished, record.id"
        ):
            self.same[rule, path] = seconds
            by_rule.setdefault(rule, []).append(seconds)
        self.usual = {rule: statistics.median(seconds) for rule, seconds in by_rule.items()}

    def of(self, rule: str, path: str) -> float | None:
        """Return the seconds of a rule's job whose first output is `path`; None where no job of the rule was timed."""
        return self.same.get((rule, path), self.usual.get(rule))


def time_left(
    left: dict[str, float], needs: dict[str, list[str]], slots: dict[str, int], running: set[str], room: int
) -> float:
    """Return the seconds until all jobs of `left` (name -> seconds each still takes) have ended, by simulation.

    A job starts when those it `needs` have ended and its `slots`, of `room` in all, are free; the longest go first.
    Jobs in `running` have begun already. A cluster's overheads are not counted.
    """
    waits = {job: {other for other in needs.get(job, ()) if other in left} for job in left}
    followers: dict[str, list[str]] = {}
    for job, others in waits.items():
        for other in others:
            followers.setdefault(other, []).append(job)
    ready = [(-left[job], job) for job in left if job not in running and not waits[job]]
    heapq.heapify(ready)
    ends = [(left[job], job) for job in sorted(running & left.keys())]
    heapq.heapify(ends)
    free = room - sum(min(slots.get(job, 1), room) for _, job in ends)
    now = 0.0
    while ready or ends:
        while ready and (free >= min(slots.get(ready[0][1], 1), room) or not ends):
            _, job = heapq.heappop(ready)
            free -= min(slots.get(job, 1), room)
            heapq.heappush(ends, (now + left[job], job))
        now, job = heapq.heappop(ends)
        free += min(slots.get(job, 1), room)
        for follower in followers.get(job, ()):
            waits[follower].discard(job)
            if not waits[follower] and follower not in running:
                heapq.heappush(ready, (-left[follower], follower))
    return now
