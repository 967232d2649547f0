"""Which images kept their labels stands on the page, once for runs that share them."""

import json

from semiverse.reporting.page import label_lists
from semiverse.reporting.runs import read_runs
from tests.reporting.made_up_runs import make_run


def test_runs_with_the_same_labelled_images_share_a_list(tmp_path):
    folders = [make_run(tmp_path / name, {"street": 0.5, "room": 0.4}) for name in ("a", "b", "c")]
    labeled = json.loads((folders[2] / "labeled.json").read_text())
    (folders[2] / "labeled.json").write_text(json.dumps(labeled | {"room": ["other"], "street": []}))
    assert label_lists(read_runs(folders)) == [
        ("street", "a, b", ("street0", "street1", "street2")),
        ("room", "a, b", ("room0", "room1", "room2")),
        ("room", "c", ("other",)),
    ]
