"""When an sCT may leave."""

import pytest

from node.domain.findings import Finding, Severity
from node.domain.plan import ReleasePolicy
from node.domain.release import decide


def of(severity: Severity) -> Finding:
    """Make a finding that has only a severity."""
    return Finding(code="X", severity=severity, sentence="", remedy="")


@pytest.mark.parametrize(
    ("policy", "severity", "released"),
    [
        (ReleasePolicy.AUTO, Severity.WARNING, True),
        (ReleasePolicy.AUTO, Severity.HOLD, False),
        (ReleasePolicy.AUTO, Severity.REFUSE, False),
        (ReleasePolicy.CHECKS_PASSED, Severity.INFO, True),
        (ReleasePolicy.CHECKS_PASSED, Severity.WARNING, False),
        (ReleasePolicy.CHECKS_PASSED, Severity.HOLD, False),
        (ReleasePolicy.SIGNATURE, Severity.INFO, False),
    ],
)
def test_policy_decides_by_severity(
    policy: ReleasePolicy, severity: Severity, released: bool
) -> None:
    """The table of the contract."""
    assert decide(policy, [of(severity)]).released is released


def test_signature_always_holds() -> None:
    """Even without any finding."""
    assert not decide(ReleasePolicy.SIGNATURE, []).released
    assert decide(ReleasePolicy.CHECKS_PASSED, []).released
