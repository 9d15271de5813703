"""How a space is built up: read point by point, and as columns."""

from __future__ import annotations

from simkit import product

# Laziness, indexing


def test_ten_axes_of_ten_values_are_declared_and_indexed_without_listing_them():
    space = product(**{f"x{i}": list(range(10)) for i in range(10)})
    assert len(space) == 10**10
    assert "".join(str(v) for v in space[1234567890].values()) == "1234567890"
    assert set(space[-1].values()) == {9}
    assert space.columns(10**10 - 2)["x9"].tolist() == [8, 9]


def test_columns_are_arrays_of_a_slice_of_the_points():
    columns = product(x=[1.0, 2.0], y=[3, 4]).columns(1, 3)
    assert {name: column.tolist() for name, column in columns.items()} == {"x": [1.0, 2.0], "y": [4, 3]}
    assert columns["x"].dtype == float


def test_columns_stop_at_the_end():
    assert product(x=[1, 2]).columns(1, 9)["x"].tolist() == [2]
    assert product(x=[1, 2]).columns(5)["x"].tolist() == []


def test_take_gives_points_in_the_given_order():
    assert [p["x"] for p in product(x=[1, 2, 3]).take([2, 0, 2])] == [3, 1, 3]


def test_where_works_across_blocks():
    space = product(x=range(300), y=range(300)).where("x == 299 and y >= 298")
    assert [(p["x"], p["y"]) for p in space] == [(299, 298), (299, 299)]
