"""The example file says what the model says."""

import re
import tomllib

from config import example
from config.settings import Settings, judge
from config.sources import Sources


def test_the_example_file_is_what_the_model_renders() -> None:
    assert example.FILE.read_text() == example.render(), "run: python -m config.example"


def test_every_default_in_the_example_is_a_setting_that_is_accepted() -> None:
    common = example.render().split("\n# Backends:")[0]
    spoken = re.sub(r"^#([a-z_]+ = )", r"\1", common, flags=re.MULTILINE)

    values = tomllib.loads(spoken)

    assert judge(Sources(values, example.FILE)) == Settings()
    assert sum(len(section) for section in values.values()) == sum(
        len(type(getattr(Settings(), name)).model_fields)
        for name in Settings.model_fields
        if name != "backends"
    )
