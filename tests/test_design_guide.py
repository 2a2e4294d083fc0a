"""The figures of `docs/designs.md` are those that the tool prints."""

from pathlib import Path

from compare_designs import costs


def test_the_tables_of_costs_are_those_that_are_printed():
    guide = Path(__file__).parents[1] / "docs" / "designs.md"
    assert "\n".join(costs()).strip("\n") in guide.read_text(encoding="utf-8"), (
        "python tools/compare_designs.py --costs"
    )
