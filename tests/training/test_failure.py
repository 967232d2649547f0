"""A loss that is not finite stops a training, and can be looked at again."""

import json
import shlex
from functools import partial

import pytest

from semiverse.cli.main import main
from semiverse.commands import train as training
from semiverse.methods import Latent, Universal
from semiverse.run import Run
from semiverse.training.recorder import Recorder
from tests.tiny import same, state, train_words


class ExplodingLatent(Latent):
    """Its fourth term is not a number at step 7."""

    def terms(self, batch):
        for place, term in enumerate(super().terms(batch)):
            yield term * float("nan") if (self.steps_done, place) == (7, 3) else term


class ExplodingOpponent(Latent):
    """What its discriminators say of one thing is not a number at step 7."""

    def opponents(self):
        return [opponent._replace(terms=partial(self.judged, opponent.terms)) for opponent in super().opponents()]

    def judged(self, terms, batch):
        for place, term in enumerate(terms(batch)):
            yield term * float("nan") if (self.steps_done, place) == (7, 1) else term


class ExplodingUniversal(Universal):
    """A loss that it records is infinite at step 7."""

    def supervised_loss(self, logits, sample, domain):
        explodes = self.steps_done == 7 and domain == "rooms"
        infinite = logits._replace(values=logits.values.detach() * float("inf"))
        return super().supervised_loss(infinite if explodes else logits, sample, domain)


KINDS = {
    "ExplodingLatent": ("terms[3]", 0, {"latent_classes": 3, "consistency_from": 0}),
    "ExplodingOpponent": ("judged[1]", 0, {"latent_classes": 3, "consistency_from": 0}),
    "ExplodingUniversal": ("terms[2]", 1, {"embed_dim": 8, "theta": 0.5, "warmup": [0.0, 0.5]}),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "ExplodingUniversal" else pytest.mark.slow) for kind in KINDS]
)
def test_loss_that_is_not_finite_leaves_a_run_that_repeats_the_step(kind, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(training, "Recorder", partial(Recorder, save_every=7))
    term, recorded, options = KINDS[kind]
    method = {"class_path": f"tests.training.test_failure.{kind}", "init_args": options}
    trainer = {"max_steps": 12, "accelerator": "cpu"}
    changes = {"method": method, "trainer": trainer, "networks_trainer": {"max_steps": 1}, "validate_every": 5}
    assert main(train_words(tmp_path, changes)) == 2
    run = Run(tmp_path / "run")
    facts = json.loads(run.failure.failed.read_text())
    said = capfd.readouterr().err
    assert f"{term}" in said and "nan at step 7" in said and str(run.failure.failed) in said
    assert (facts["step"], facts["term"], facts["value"]) == (7, term, "nan")
    assert len(facts["losses"]) == recorded and all(name == "rooms/supervised" for name in facts["losses"])
    assert facts["images"]["labeled"].keys() == {"streets", "rooms"}
    assert all(len(ids) == 2 for ids in facts["images"]["labeled"].values())
    # the run's own checkpoint is of that moment, between two validations
    before, kept = state(run.folder), state(run.failure.folder)
    assert before["steps_done"] == 7 and before["means"]["sums"]
    assert same(before, kept)
    command = shlex.split(facts["replay"])
    assert command[0] == "semiverse" and main(command[1:]) == 2
    again = json.loads(run.failure.failure.failed.read_text())
    assert {**again, "replay": ""} == {**facts, "replay": ""}
    assert same(kept, state(run.failure.failure.folder))
    assert not run.finished
