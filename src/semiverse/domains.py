"""Several domains: their label spaces, and which of their images have labels."""

from functools import cached_property, partial
from warnings import warn

from semiverse.data import Content, Record, survey
from semiverse.domain import Domain, choose_labeled, choose_unlabeled
from semiverse.labels import LabelSpace
from semiverse.resolution import Resolution


class Domains:
    """Several domains, each with its label budget.

    Args:
        domains: Domains by name; a name has no dots.
        seed: Of the label budgets.

    Raises:
        ValueError: If there is no domain, or a name is empty or has a dot.
    """

    def __init__(self, domains: dict[str, Domain], seed: int) -> None:
        if not domains:
            raise ValueError("the mixture has no domain; expected at least one: name it under data.domains")
        for name in domains:
            if not name or "." in name:
                raise ValueError(f"domain name {name!r} is empty or has a dot; expected a word: call it 'streets', say")
        self.domains, self.seed = domains, seed
        self._contents: dict[tuple[str, str], list[Content]] = {}

    @property
    def label_spaces(self) -> dict[str, LabelSpace]:
        """Label space of each domain."""
        return {name: domain.dataset.labels for name, domain in self.domains.items()}

    @property
    def resolutions(self) -> dict[str, Resolution]:
        """Working size of each domain."""
        return {name: domain.resolution for name, domain in self.domains.items()}

    def contents(self, name: str, split: str, fresh: bool = False) -> list[Content]:
        """What the files of a domain's split hold, in its order; every file is read once and remembered.

        Args:
            name: The domain.
            split: One of its dataset's splits or a list file.
            fresh: Read also files that have not changed since an earlier run read them.
        """
        if (name, split) not in self._contents:
            dataset = self.domains[name].dataset
            self._contents[name, split] = survey(dataset, dataset.subset(split), f"{name} {split}", fresh=fresh)
        return self._contents[name, split]

    @cached_property
    def labeled(self) -> dict[str, list[Record]]:
        """Records that keep their masks, by domain.

        Raises:
            ValueError: If a budget is larger than its dataset.
            FileNotFoundError: If files are missing.
        """
        return {
            name: choose_labeled(name, domain, self.seed, partial(self.contents, name, domain.train))
            for name, domain in self.domains.items()
        }

    @cached_property
    def unlabeled(self) -> dict[str, list[Record]]:
        """Records whose masks are not looked at, by domain: image files only, without masks.

        Raises:
            FileNotFoundError: If files are missing.
        """
        return {name: choose_unlabeled(name, domain, self.labeled[name]) for name, domain in self.domains.items()}

    def warn_of_missing_classes(self) -> None:
        """Warn of classes that no labelled image shows, in any domain that shares them: nothing teaches them."""
        sharing: dict[LabelSpace, list[str]] = {}
        for name, space in self.label_spaces.items():
            sharing.setdefault(space, []).append(name)
        for space, names in sharing.items():
            seen = frozenset[int]().union(*(self._labeled_classes(name) for name in names))
            missing = [title for i, title in enumerate(space.classes) if i not in seen]
            if missing:
                warn(
                    f"domain {' and '.join(names)}: no labelled image shows {', '.join(missing)}; the model cannot "
                    f"learn {'it' if len(missing) == 1 else 'them'}: raise the budget or merge classes",
                    stacklevel=2,
                )

    def _labeled_classes(self, name: str) -> frozenset[int]:
        """Train ids that the labelled images of a domain show."""
        labeled, domain = {record.image for record in self.labeled[name]}, self.domains[name]
        if not labeled:
            return frozenset()
        found = zip(domain.dataset.subset(domain.train), self.contents(name, domain.train), strict=True)
        return frozenset().union(*(content.classes for record, content in found if record.image in labeled))
