"""Any settings file: settings, or a complaint that names the key and never the secret."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import ground
from tests.fuzz.strategies import ENVIRONMENTS, nearly_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@given(nearly_settings(), ENVIRONMENTS)
@settings(max_examples=150)
def test_nearly_right_settings_are_taken_or_named(
    folder: Path, text: str, environment: Mapping[str, str]
) -> None:
    ground.settings(text, environment, folder)


@given(
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda b: b.decode("utf-8", "surrogateescape"))
)
def test_any_text_is_taken_or_named(folder: Path, text: str) -> None:
    ground.settings(text, {}, folder)
