"""What is written is what is read."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.toml import write_tables, write_value

PLAIN = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.booleans(),
    st.integers(-(2**31), 2**31),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.one_of(PLAIN, st.lists(PLAIN), st.dictionaries(st.text("abc-_. é", min_size=1), PLAIN))


@pytest.mark.long
@given(st.lists(st.dictionaries(st.text('abc-_." é\n', min_size=1), VALUES)))
def test_tables_come_back_as_they_were(tables: list[dict[str, object]]) -> None:
    """Whatever stands in keys and texts."""
    assert tomllib.loads(write_tables("peers", tables)).get("peers", []) == tables


def test_what_toml_has_not_is_an_error() -> None:
    """Nothing is written in part."""
    with pytest.raises(TypeError, match="NoneType"):
        write_value(None)
