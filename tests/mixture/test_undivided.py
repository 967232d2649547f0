"""Domains that nothing divides, that are validated on what they train on, and that are not validated."""

import json
import shutil

import pytest

from semiverse.cli.main import main
from semiverse.configuration import dump_yaml
from semiverse.data import Record
from semiverse.datasets import Folder
from semiverse.mixture import Domain, DomainMixture
from semiverse.run import Run
from tests.fakes import THREE, draw, write_mask, write_photo


def write_undivided(root, count=10):
    for i in range(count):
        write_photo(root / "images" / f"{i}.jpg", seed=i)
        write_mask(root / "masks" / f"{i}.png", draw(i, range(3)))
    return Folder(root, THREE)


def configuration(tmp_path, **domain):
    values = {"dataset": {"class_path": "Folder", "init_args": {"root": str(tmp_path / "yard"), "classes": THREE}}}
    data = {"domains": {"yard": values | domain}, "batch_size": 2, "workers": 0, "crop": [12, 16]}
    trainer = {"max_steps": 2, "accelerator": "cpu"}
    file = tmp_path / "yard.yaml"
    file.write_text(dump_yaml({"data": data, "model": {"encoder": "drn_d_22", "width": 0.0625}, "trainer": trainer}))
    return str(file)


def test_training_and_validation_share_nothing_and_labels_come_from_training(tmp_path):
    data = DomainMixture({"yard": Domain(write_undivided(tmp_path), labeled=3)})
    domain = data.domains["yard"]
    train, val = domain.subset("train"), domain.subset("val")
    assert (len(train), len(val)) == (8, 2) and not {*train} & {*val}
    assert {*data.labeled["yard"]} <= {*train}
    assert {record.image for record in data.unlabeled["yard"]} == {record.image for record in train}
    assert [sample.id for sample in data.evaluation("yard")] == [record.id for record in val]
    assert len(data.contents("yard", "val")) == 2
    assert data.divided()["yard"].startswith("nothing divides the images, so 2 of 10 are held out")


def test_every_seed_of_the_data_holds_out_the_same_images(tmp_path):
    dataset = write_undivided(tmp_path)
    one, other = (DomainMixture({"yard": Domain(dataset)}, seed=seed) for seed in (0, 1))
    assert one.domains["yard"].subset("val") == other.domains["yard"].subset("val")


def test_what_is_named_or_has_a_folder_is_never_divided_otherwise(tmp_path):
    dataset = write_undivided(tmp_path / "yard")
    for named in ({"val": "all"}, {"val": None}, {"train": "all"}):
        assert not Domain(dataset, **named).divides_itself
    with pytest.raises(ValueError, match="no split 'val'"):
        Domain(dataset, train="all").subset("val")
    (tmp_path / "halves").mkdir()
    shutil.copytree(tmp_path / "yard", tmp_path / "halves" / "train")
    lost = Domain(Folder(tmp_path / "halves", THREE))
    with pytest.raises(ValueError, match="no split 'val'"):
        lost.subset("val")


@pytest.mark.slow
def test_a_run_keeps_what_it_holds_out(tmp_path, caplog):
    write_undivided(tmp_path / "yard", count=6)
    config, out = configuration(tmp_path), tmp_path / "run"
    with caplog.at_level("INFO", "semiverse"):
        assert main(["train", "--config", config, "--out", str(out)]) == 0
    assert "domain yard: nothing divides the images, so 1 of 6 are held out" in caplog.text
    kept = json.loads(Run(out).held_out.read_text())["yard"]
    assert len(kept["train"]) == 5 and len(kept["val"]) == 1
    for i in range(20, 40):  # another draw, if it were drawn again
        write_photo(tmp_path / "yard" / "images" / f"{i}.jpg", seed=i)
        write_mask(tmp_path / "yard" / "masks" / f"{i}.png", draw(i, range(3)))
    assert main(["evaluate", str(out)]) == 0
    assert json.loads((out / "evaluation.json").read_text())["domains"]["yard"]["images"] == 1
    assert main(["report", str(out)]) == 0


@pytest.mark.slow
def test_a_domain_that_is_not_validated_trains_and_keeps_the_last_weights(tmp_path, capsys):
    write_undivided(tmp_path / "yard", count=4)
    config, out = configuration(tmp_path, train="all", val=None), tmp_path / "run"
    assert main(["check", "--config", config]) == 0
    assert main(["train", "--config", config, "--out", str(out), "--validate_every", "1"]) == 0
    rows = Run(out).read_metrics()
    assert [float(row["sum_miou"]) for row in rows] == [0, 0] and "yard/miou" not in rows[0]
    assert json.loads((out / "finished.json").read_text())["best_step"] == 2
    assert main(["evaluate", str(out)]) == 2
    assert "domain yard is not validated" in capsys.readouterr().err
    assert main(["evaluate", str(out), "--split", "all"]) == 0
    assert main(["report", str(out)]) == 0


def test_validation_on_training_images_is_called_what_it_is(tmp_path, capsys):
    write_undivided(tmp_path / "yard", count=3)
    assert main(["check", "--config", configuration(tmp_path, train="all", val="all")]) == 0
    assert "validation is training: both are all" in capsys.readouterr().out
    domain = Domain(Folder(tmp_path / "yard", THREE), train="all", val="all")
    assert DomainMixture({"yard": domain}).divided()["yard"].startswith("validated on what it trains on (all)")


def test_images_without_masks_are_not_validated(tmp_path):
    write_undivided(tmp_path)
    domain = Domain(Folder(tmp_path, THREE, masks="none"))
    assert domain.validation is None and len(domain.subset("train")) == 10
    assert all(isinstance(record, Record) and record.mask is None for record in domain.subset("train"))
