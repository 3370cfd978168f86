"""From requests to slates, the same way for every strategy: allowed set, candidates, rules, the first k.

    arm's strategy ─▶ candidates ─▶ rules ─▶ places ─┐  while places are open: more of its candidates,
    cold ladder: what the session and the page tell ─┘  then the ladder's, one rung after the other

So a slate is short only when no rung has a valid candidate left. The ladder knows nobody: it answers by the session,
the page's category and the whole shop, in that order, as far as those strategies were fitted. What is in the session
was just seen and is never shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.recommenders import rules as all_rules
from experiments.recommenders.base import CELLS, Flags, Floats, Integers, Model, Request, Requests
from experiments.recommenders.fitted import Fitted
from experiments.recommenders.rules import RULES, Rule, removed_by
from experiments.recommenders.shelf import Shelf
from experiments.recommenders.slates import CAUSES, Codes, Slate, Slates

LADDER = ("item_knn", "category_popularity", "popularity")
_OPEN, _SKIPPED, _PLACED = -1, -2, -3  # what became of a candidate, where no rule removed it …
_CAPPED = 127  # … and where one by groups did


def ladder(fitted: Mapping[str, Fitted]) -> tuple[Fitted, ...]:
    """The rungs among the strategies that were fitted, by name."""
    return tuple(fitted[name] for name in LADDER if name in fitted)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One arm's strategy, the ladder under it and the rules."""

    strategy: Fitted
    rungs: Sequence[Fitted] = ()
    rules: Sequence[Rule] = RULES

    def slate(self, request: Request, shelf: Shelf) -> Slate:
        """One request's slate, with the reason for each item."""
        made = self.slates(Requests.of(request), shelf)
        models = {each.name: each.model for each in (*reversed(self.rungs), self.strategy)}
        bare = made.one(0)
        return replace(
            bare,
            items=tuple(
                replace(shown, reason=models[shown.source].explain(request, shown.item_id)) for shown in bare.items
            ),
        )

    def slates(self, requests: Requests, shelf: Shelf) -> Slates:
        """Every request's slate. The same as one by one, to the last bit."""
        in_force = [rule for rule in self.rules if rule.holds(requests.now)]
        sources = [self.strategy, *(self.rungs if self.strategy.model.tops_up else ())]
        work = _Work.empty(requests, shelf, in_force)
        for number, source in enumerate(sources):
            left = np.flatnonzero(work.filled < requests.k)
            asked = requests if number == 0 else requests.of_nobody()
            work.fill(left, asked, source.model, number)
            if number == 0:
                work.note_cause()
        return work.finish(
            strategy=self.strategy.name,
            version=self.strategy.version,
            sources=tuple(source.name for source in sources),
            rules_version=all_rules.version(self.rules),
        )


@dataclass(slots=True)
class _Work:
    """Slates while they are filled."""

    requests: Requests
    shelf: Shelf
    rules: Sequence[Rule]
    session: Integers  # (n, longest), in the shelf's codes
    blocked: Codes  # (n_items + 1,): _OPEN, _SKIPPED off the shelf, or the first rule that removes it
    groups: Sequence[tuple[int, int, Integers]]  # number, most and (n_items + 1,) groups of each rule by groups
    items: Integers
    score: Floats
    propensity: Floats
    source: Codes
    filled: Integers  # (n,)
    cause: Codes
    removed: list[tuple[Integers, Integers, Integers]]  # row, item, rule

    @classmethod
    def empty(cls, requests: Requests, shelf: Shelf, rules: Sequence[Rule]) -> "_Work":
        n, k = len(requests), requests.k
        blocked = np.where(shelf.listed, removed_by(rules, shelf), _SKIPPED).astype(np.int8)
        return cls(
            requests=requests,
            shelf=shelf,
            rules=rules,
            session=requests.items.into(shelf.items)[requests.session],
            blocked=np.append(blocked, np.int8(_SKIPPED)),
            groups=[
                (at, rule.most, np.append(rule.group(shelf), -1))
                for at, rule in enumerate(rules)
                if rule.group is not None
            ],
            items=np.full((n, k), -1),
            score=np.full((n, k), np.nan),
            propensity=np.full((n, k), np.nan),
            source=np.full((n, k), -1, dtype=np.int8),
            filled=np.zeros(n, dtype=np.int64),
            cause=np.full(n, -1, dtype=np.int8),
            removed=[],
        )

    def fill(self, rows: Integers, requests: Requests, model: Model, source: int) -> None:
        """Fill the open places of these rows from one model: from a few candidates, and from more where they fail."""
        everything = len(model.items)
        depth = everything if model.draws else min(4 * requests.k + 8, everything)
        while len(rows) and depth:
            again = []
            size = max(1, CELLS // depth)
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                again.append(part[~self._fill(part, requests.take(part), model, depth, source)])
            rows, depth = np.concatenate(again), min(4 * depth, everything)

    def _fill(self, rows: Integers, requests: Requests, model: Model, depth: int, source: int) -> Flags:
        """One attempt with `depth` candidates; whether each row is done. Rows that are not are left as they were."""
        found = model.retrieve(requests, depth)
        r, k, m = len(rows), requests.k, found.items.shape[1]
        exhausted = np.full(r, depth >= len(model.items) or m < depth) | (found.items[:, -1:] < 0).any(axis=1)
        codes = model.items.into(self.shelf.items)[found.items]
        items, filled = self.items[rows], self.filled[rows].copy()
        score, propensity = self.score[rows], self.propensity[rows]
        fate = self.blocked[codes]
        for column in (*self.session[rows].T, *items.T):
            if (column >= 0).any():
                fate[codes == column[:, None]] = _SKIPPED
        groups = [group[codes] for _, _, group in self.groups]
        for place in range(k):
            self._cap(fate, groups, items, place)
        column_of, last, every = np.where(items >= 0, -1, m), np.full(r, m), np.arange(r)
        while m:
            is_open = fate == _OPEN
            first = is_open.argmax(axis=1)
            picks = np.flatnonzero(is_open[every, first] & (filled < k))
            if not len(picks):
                break
            at, next_open = first[picks], filled[picks]
            items[picks, next_open] = codes[picks, at]
            score[picks, next_open] = found.score[picks, at]
            if found.weight is not None:
                left = np.where(is_open, found.weight, 0.0).sum(axis=1)
                propensity[picks, next_open] = found.weight[picks, at] / left[picks]
            fate[picks, at], column_of[picks, next_open] = _PLACED, at
            filled[picks] += 1
            last[picks] = np.where(filled[picks] == k, at, m)
            for place in np.unique(next_open).tolist():
                self._cap(fate, groups, items, place)
        done: Flags = exhausted | (filled == k)
        kept = rows[done]
        self.source[kept] = np.where(items[done] == self.items[kept], self.source[kept], source)
        self.items[kept], self.score[kept], self.propensity[kept] = items[done], score[done], propensity[done]
        self.filled[kept] = filled[done]
        row, column = np.nonzero((fate >= 0) & (np.arange(m) <= last[:, None]) & done[:, None])
        gone, rule = codes[row, column], fate[row, column].astype(np.int64)
        above = column_of[row] < column[:, None]
        for number, most, group in reversed(self.groups):
            full = (above & (group[items[row]] == group[gone][:, None])).sum(axis=1) >= most
            rule = np.where(full & (fate[row, column] == _CAPPED), number, rule)
        self.removed.append((rows[row], gone, rule))
        return done

    def _cap(self, fate: Codes, groups: Sequence[Integers], items: Integers, place: int) -> None:
        """Remove what would be one too many of the group of the item at `place`."""
        chosen = items[:, place]
        if not (chosen >= 0).any():
            return
        for (_, most, group), of_candidate in zip(self.groups, groups, strict=True):
            mine = group[chosen]
            taken = (group[items] == mine[:, None]).sum(axis=1)
            full = np.where((chosen >= 0) & (taken >= most), mine, -2)
            fate[(of_candidate == full[:, None]) & (fate == _OPEN)] = _CAPPED

    def note_cause(self) -> None:
        """Why the ladder is needed, where the strategy itself left places open."""
        n, k = len(self.filled), self.requests.k
        rows = np.concatenate([row for row, _, _ in self.removed]) if self.removed else np.array([], dtype=np.int64)
        had_some = np.bincount(rows, minlength=n) > 0
        empty = np.where(had_some, CAUSES.index("removed_by_rules"), CAUSES.index("nothing_retrieved"))
        why = np.where(self.filled > 0, CAUSES.index("too_few"), empty)
        self.cause = np.where(self.filled < k, why, -1).astype(np.int8)

    def finish(self, *, strategy: str, version: str, sources: Sequence[str], rules_version: str) -> Slates:
        row, item, rule = (
            np.concatenate([np.array([], dtype=np.int64), *parts])
            for parts in (zip(*self.removed, strict=True) if self.removed else ((), (), ()))
        )
        once = np.sort(np.unique(row * (len(self.shelf.items) + 1) + item, return_index=True)[1])
        helped = (self.source > 0).any(axis=1)
        return Slates(
            items=self.items,
            index=self.shelf.items,
            score=self.score,
            propensity=self.propensity,
            source=self.source,
            sources=sources,
            cause=np.where(helped, self.cause, -1).astype(np.int8),
            removed_row=row[once],
            removed_item=item[once],
            removed_rule=rule[once],
            rules=tuple(rule.name for rule in self.rules),
            strategy=strategy,
            version=version,
            rules_version=rules_version,
        )
