"""Is the data on disk what its class says it is?"""

from semiverse.mixture import DomainMixture


def refuse_problems(data: DomainMixture) -> None:
    """Read every file that a training would use.

    Raises:
        ValueError: If files are bad; the message lists them.
    """
    problems = [
        f"{name} {split}: {content.problem}"
        for name, domain in data.domains.items()
        for split in dict.fromkeys((domain.train, domain.val))
        for content in data.contents(name, split)
        if content.problem
    ]
    if problems:
        listed = "\n  ".join(problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"{len(problems)} files cannot be used:\n  {listed}{more}")
