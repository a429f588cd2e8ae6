"""How the supervisor treats children that end."""

from node.run.processes import ROLES, back_off_s


def test_a_child_that_ends_again_and_again_waits_ever_longer() -> None:
    """Half a second at first, then longer, up to half a minute."""
    waits = [back_off_s("worker", failures) for failures in range(1, 12)]

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.5, 30.0)


def test_acceptors_are_never_away_for_long() -> None:
    """Every sender waits on an open port meanwhile."""
    assert max(back_off_s("scp", failures) for failures in range(1, 50)) == 2.0
    assert {role: back_off_s(role, 1) for role in ROLES} == dict.fromkeys(ROLES, 0.5)
