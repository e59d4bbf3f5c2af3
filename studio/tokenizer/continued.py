"""Continued BPE: more merges for a tokenizer that exists, learned from words as it cuts them today.

Why it is safe. A merge fires only where the text holds what the merge spells, and every new piece is spelt with a
character of the target script: other text never meets one. New merges rank after the old ones, so these run to their
end first and each new one then takes a token away: no text gets longer. And every new piece was made here from words
that the old tokenizer had cut, by merges that are all kept in their order: each can be reached.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Word = tuple[int, ...]
Keep = Callable[[str], bool]
Tick = Callable[[int], None]

_SHIFT = 24  # two ids in one integer: hashing it is twice as quick as hashing a pair
_LOW = (1 << _SHIFT) - 1
MINIMUM_COUNT = 2


@dataclass(frozen=True, slots=True)
class Learned:
    """What a learner found.

    `merges` are pairs of ids: merge ``i`` makes the id ``first + i``. `counts[i]` says how often its pair stood in the
    words when it was learned. `curve[i]` is the number of tokens of all words after ``i`` merges. `beside` says
    where among all pieces those stand that were bought beside the merges.
    """

    first: int
    merges: list[tuple[int, int]]
    counts: list[int]
    curve: list[int]
    beside: list[int]


def continue_bpe(
    words: Mapping[Word, int],
    size: int,
    *,
    first: int,
    spell: Callable[[int], str],
    known: Callable[[str], bool],
    keep: Keep,
    every_split: bool = False,
    beside: Sequence[int] = (),
    minimum: int = MINIMUM_COUNT,
    tick: Tick = lambda made: None,
) -> Learned:
    """Learn merges, the most frequent pair first, until there are `size` pieces or no pair is left.

    Args:
        words: Ids of each word as the tokenizer cuts it now, and how often the word stands in the corpus.
        size: Most pieces, those bought beside included.
        first: Id of the first new piece.
        spell: Maps an id of `words` to the string that its vocabulary holds.
        known: Whether a string is in the vocabulary already; such a piece is never learned again.
        keep: Whether a string may become a piece.
        every_split: True where any two neighbours that spell a piece merge into it, as in SentencePiece; False where
            only listed pairs merge.
        beside: Tokens that pieces which are no merges save, the most first (letters that were missing: `words` has
            them already). Each is taken when no pair saves more, so that no small size is spent on rare letters: with
            all 132 of Llama-2 first, 1,000 pieces cost 2% more tokens than merges trained apart.
        minimum: Rarest pair that still becomes a piece.
        tick: Called with the number of merges now and then; may raise to stop.
    """
    return _Learner(words, first, spell, known, keep, every_split, minimum).run(size, beside, tick)


class _Learner:
    """Pair counts, the words each pair stands in, and a heap whose entries are put right when they come up.

    A pair can only appear when the younger of its two pieces is made; from then on its count falls. So a pair that is
    too rare or may not be merged when it appears is forgotten at once, which keeps memory and work small.
    """

    def __init__(
        self,
        words: Mapping[Word, int],
        first: int,
        spell: Callable[[int], str],
        known: Callable[[str], bool],
        keep: Keep,
        every_split: bool,
        minimum: int,
    ) -> None:
        self.first, self.known, self.keep, self.minimum = first, known, keep, minimum
        self.words = [list(word) for word in words if len(word) > 1]
        self.often = [count for word, count in words.items() if len(word) > 1]
        self.total = sum(len(word) * count for word, count in words.items())
        self.names = {piece: spell(piece) for piece in {piece for word in self.words for piece in word}}
        self.pieces = {name: piece for piece, name in self.names.items()} if every_split else None
        # With every split a rare pair still has to follow when another spelling of its piece is learned.
        self.forget = 1 if every_split else minimum
        self.ranks: dict[str, int] = {}
        self.counts: dict[int, int] = {}
        self.places: dict[int, list[int]] = {}
        self.heap: list[tuple[int, int]] = []
        self._find_pairs()

    def run(self, size: int, beside: Sequence[int], tick: Tick) -> Learned:
        merges: list[tuple[int, int]] = []
        counts: list[int] = []
        curve = [self.total]
        bought: list[int] = []
        while len(merges) + len(bought) < size and self.heap:
            negative, pair = heapq.heappop(self.heap)
            count = self.counts.get(pair, 0)
            if count != -negative:
                if count >= self.minimum:
                    heapq.heappush(self.heap, (-count, pair))
                continue
            left, right = pair >> _SHIFT, pair & _LOW
            name = self.names[left] + self.names[right]
            if name in self.ranks:  # another split of a piece that was learned meanwhile
                del self.counts[pair], self.places[pair]
                continue
            if len(bought) < len(beside) and beside[len(bought)] >= count:
                bought.append(len(merges) + len(bought))
                heapq.heappush(self.heap, (negative, pair))
                continue
            piece = self.first + len(merges)
            self.names[piece] = name
            self.ranks[name] = piece
            self._merge(pair, piece, name)
            merges.append((left, right))
            counts.append(count)
            curve.append(self.total)
            if len(merges) % 256 == 0:
                tick(len(merges))
        rest = min(size - len(merges), len(beside)) - len(bought)
        bought += range(len(merges) + len(bought), len(merges) + len(bought) + max(0, rest))
        return Learned(self.first, merges, counts, curve, bought)

    def _find_pairs(self) -> None:
        counts: dict[int, int] = {}
        for word, often in zip(self.words, self.often, strict=True):
            for left, right in zip(word, word[1:], strict=False):
                pair = left << _SHIFT | right
                counts[pair] = counts.get(pair, 0) + often
        # Placed in a second pass, when it is known which pairs matter: most do not, and the lists take the memory.
        self.counts = {pair: count for pair, count in counts.items() if self._wanted(pair, count)}
        self.places = {pair: [] for pair in self.counts}
        for index, word in enumerate(self.words):
            for left, right in zip(word, word[1:], strict=False):
                place = self.places.get(left << _SHIFT | right)
                if place is not None:
                    place.append(index)
        self.heap = [(-count, pair) for pair, count in self.counts.items() if count >= self.minimum]
        heapq.heapify(self.heap)

    def _wanted(self, pair: int, count: int) -> bool:
        if count < self.forget:
            return False
        name = self.names[pair >> _SHIFT] + self.names[pair & _LOW]
        return name not in self.ranks and self.keep(name) and not self.known(name)

    def _merge(self, pair: int, piece: int, name: str) -> None:
        """Put `piece` wherever `pair` stands, and count the pairs that this makes and unmakes."""
        born: dict[int, int] = {}
        where: dict[int, list[int]] = {}
        for each in [pair] if self.pieces is None else self._splits(name):
            left, right = each >> _SHIFT, each & _LOW
            for index in self.places.pop(each):
                self._rewrite(index, left, right, piece, born, where)
            del self.counts[each]
        if self.pieces is not None:
            self.pieces[name] = piece
            self._follow(born, where)
        for each, count in born.items():
            if self._wanted(each, count):
                self.counts[each] = count
                self.places[each] = where[each]
                if count >= self.minimum:
                    heapq.heappush(self.heap, (-count, each))

    def _rewrite(
        self, index: int, left: int, right: int, piece: int, born: dict[int, int], where: dict[int, list[int]]
    ) -> None:
        word, often, counts = self.words[index], self.often[index], self.counts
        place, last = 0, len(word) - 1
        while place < last:
            try:
                place = word.index(left, place, last)
            except ValueError:
                return
            if word[place + 1] != right:
                place += 1
                continue
            if place:
                before = word[place - 1] << _SHIFT
                if (key := before | left) in counts:
                    counts[key] -= often
                elif key in born:
                    born[key] -= often
                if (key := before | piece) in born:
                    born[key] += often
                    where[key].append(index)
                else:
                    born[key] = often
                    where[key] = [index]
            if place + 1 < last:
                after = word[place + 2]
                if (key := right << _SHIFT | after) in counts:
                    counts[key] -= often
                if (key := piece << _SHIFT | after) in born:
                    born[key] += often
                    where[key].append(index)
                else:
                    born[key] = often
                    where[key] = [index]
            word[place : place + 2] = (piece,)
            self.total -= often
            last -= 1
            place += 1

    def _splits(self, name: str) -> list[int]:
        """The pairs in the words that spell `name`, wherever it is divided."""
        assert self.pieces is not None
        found = []
        for cut in range(1, len(name)):
            left, right = self.pieces.get(name[:cut]), self.pieces.get(name[cut:])
            if left is not None and right is not None and (pair := left << _SHIFT | right) in self.places:
                found.append(pair)
        return found

    def _follow(self, born: dict[int, int], where: dict[int, list[int]]) -> None:
        """Where a new neighbour completes an older new piece, that piece forms at once: its rank is better."""
        for pair in list(born):
            if self.names[pair >> _SHIFT] + self.names[pair & _LOW] in self.ranks:
                for index in where[pair]:
                    self._settle(index, born, where)

    def _settle(self, index: int, born: dict[int, int], where: dict[int, list[int]]) -> None:
        word, often = self.words[index], self.often[index]
        before = list(word)
        while True:
            joined = [self.names[left] + self.names[right] for left, right in zip(word, word[1:], strict=False)]
            ready = [(self.ranks[name], place) for place, name in enumerate(joined) if name in self.ranks]
            if not ready:
                break
            piece, place = min(ready)
            word[place : place + 2] = (piece,)
            self.total -= often
        if word == before:
            return
        for sign, ids in ((-often, before), (often, word)):
            for left, right in zip(ids, ids[1:], strict=False):
                pair = left << _SHIFT | right
                counts, places = (self.counts, self.places) if pair in self.counts else (born, where)
                counts[pair] = counts.get(pair, 0) + sign
                places.setdefault(pair, []).append(index)
