"""Datasets made of named clusters."""

import json

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.clustering import name_clusters
from semiverse.datasets import Folder
from semiverse.labels import IGNORE


@pytest.fixture
def clusters(tmp_path):
    """What the command writes for two images of four columns, with clusters 0, 1 and 2 in columns."""
    folder = tmp_path / "clusters"
    folder.mkdir()
    images = {}
    for stem in ("a", "b"):
        photo = tmp_path / f"{stem}.jpg"
        Image.fromarray(np.full((6, 4, 3), 90, dtype=np.uint8)).save(photo)
        Image.fromarray(np.tile(np.array([0, 0, 1, 2], dtype=np.uint8), (6, 1))).save(folder / f"{stem}.png")
        images[stem] = {"file": str(photo), "clusters": [{"id": i} for i in range(3)]}
    (folder / "clusters.json").write_text(json.dumps({"images": images}))
    return folder


def test_named_clusters_become_a_dataset_and_the_others_have_no_label(clusters, tmp_path, capsys):
    root = name_clusters(clusters, {"b": {2: "road", 0: "sky"}, "a": {1: "sky", 2: None}})
    dataset = Folder(root, ("road", "sky"))
    records = dataset.subset("all")
    assert [record.id for record in records] == ["a", "b"]
    assert dataset.read_mask(records[0].mask)[0].tolist() == [IGNORE, IGNORE, 1, IGNORE]
    assert dataset.read_mask(records[1].mask)[0].tolist() == [1, 1, IGNORE, 0]
    assert records[0].image.read_bytes() == (tmp_path / "a.jpg").read_bytes()
    assert main(["check", "--config", str(root / "dataset.yaml")]) == 0, capsys.readouterr()


def test_images_without_a_named_cluster_are_left_out(clusters, tmp_path):
    root = name_clusters(clusters, {"b": {0: "sky"}}, tmp_path / "elsewhere")
    assert root == tmp_path / "elsewhere"
    assert [record.id for record in Folder(root, ("sky",)).subset("all")] == ["b"]


def test_naming_again_forgets_what_was_named_before(clusters):
    name_clusters(clusters, {"a": {0: "sky"}})
    root = name_clusters(clusters, {"b": {0: "sea"}})
    assert [record.id for record in Folder(root, ("sea",)).subset("all")] == ["b"]


def test_folder_with_other_files_is_left_alone(clusters, tmp_path):
    with pytest.raises(ValueError, match="holds other files; expected an empty or new folder"):
        name_clusters(clusters, {"a": {0: "sky"}}, tmp_path)
    assert (tmp_path / "a.jpg").is_file() and not (tmp_path / "images").exists()


def test_one_numbering_serves_all_images_only_if_there_is_one(clusters):
    with pytest.raises(ValueError, match=r"all 2 images alike.*name them by image, or cluster with --groups"):
        name_clusters(clusters, {0: "sky"})
    index = json.loads((clusters / "clusters.json").read_text())
    index["images"]["b"]["clusters"] = [{"id": 2}]
    (clusters / "clusters.json").write_text(json.dumps(index | {"groups": 3}))
    root = name_clusters(clusters, {0: "sky", 1: "road"})
    assert [record.id for record in Folder(root, ("sky", "road")).subset("all")] == ["a"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "no cluster is named"),
        ({"a": {}}, "no cluster is named"),
        ({"c": {0: "sky"}}, "'c' is no image of clusters.json; expected one of a, b"),
        ({"a": {7: "sky"}}, "a has no cluster 7; expected one of 0, 1, 2"),
        ({"a": {"0": "sky"}}, "a has no cluster '0'"),
        ({"a": {0: "sky"}, 1: "road"}, "1 names a cluster beside images"),
        ({"a": "sky"}, "all 2 images alike"),
    ],
)
def test_names_that_fit_nothing_are_refused(clusters, names, message):
    with pytest.raises(ValueError, match=message):
        name_clusters(clusters, names)
    assert not (clusters / "named").exists()


def test_missing_folders_and_images_are_named(clusters, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"clusters.json: no such file; expected a folder that"):
        name_clusters(tmp_path, {"a": {0: "sky"}})
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"a.jpg: no such file; expected the image that was clustered"):
        name_clusters(clusters, {"a": {0: "sky"}})
