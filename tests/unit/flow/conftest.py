"""What the tests of the flow share."""

from tests.unit.flow.test_steps import bench

__all__ = ["bench"]
