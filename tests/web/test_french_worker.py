"""What workers and peers say is told in French with its reasons and remedies, not around them."""

from types import SimpleNamespace

import pytest

from node.archive.evidence.conflicts import Aside, Standing
from node.domain.names import AETitle
from node.domain.site import Peer
from node.domain.wording import Language
from node.flow import intake, pull, series
from node.scp import tls_listener
from node.scu import association, store
from node.scu.find import RemoteSeries
from node.web.messages.sentences import spoken, understood

PEER = Peer(
    name="tps", ae_title=AETitle("TPS"), host="10.0.0.9", port=104, may=frozenset(), proof="none"
)


def french(sentence: str) -> str:
    """As the page shows it, without no-break spaces."""
    return spoken(sentence, Language.FR).replace("\u00a0", " ")


@pytest.mark.parametrize("reason", association._REASONS)
@pytest.mark.parametrize("result", [1, 2])
def test_each_refusal_of_a_peer_has_its_reason_and_remedy(
    reason: tuple[int, int], result: int
) -> None:
    """PS3.8 table 9-21: every row of ours, for good and for now."""
    source, number = reason
    answer = SimpleNamespace(result_source=source, diagnostic=number, result=result)
    error = association._rejection(PEER, "PCTNODE", answer)
    why, remedy = association._REASONS[reason]
    said = why.format(calling="PCTNODE", called="TPS")

    told = french(str(error))

    assert told.startswith("tps (TPS, 10.0.0.9:104) a refusé l’association")
    assert said not in told
    assert remedy.format(calling="PCTNODE", called="TPS") not in told
    assert f"source {source}, raison {number}" in told


def test_what_a_delivery_waits_for_is_french_to_its_last_word() -> None:
    """A sentence within a sentence, with its remedy."""
    error = association._unreachable(PEER, "connection refused")

    told = french(f"{error} Attempt 3; the next one in 20 s.")

    assert told == (
        "tps (TPS, 10.0.0.9:104) est injoignable : connexion refusée. Vérifiez qu’il tourne, son "
        "adresse et son port ici, et le réseau entre les deux. Tentative 3 ; la suivante dans 20 s."
    )


@pytest.mark.parametrize("meaning", [text for _, _, text in store._MEANINGS if " " in text])
def test_each_status_of_a_store_is_told(meaning: str) -> None:
    """With a comment of the peer's own, which stays as it is."""
    status = f"0xA700 ({meaning}: disk 3 full)"
    told = french(f"tps answered {status} for 1.2.3. Look at the peer's log.")

    assert meaning not in told
    assert told.endswith("disk 3 full) pour 1.2.3. Voyez le journal de ce système.")


@pytest.mark.parametrize("failed", [0, 2])
@pytest.mark.parametrize("count", [24, None])
def test_a_pull_is_told(failed: int, count: int | None) -> None:
    """Counted or not, whole or not."""
    remote = RemoteSeries(
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        modality="MR",
        description="T1",
        instances=count,
    )
    told = french(pull._sentence(PEER, remote, 22, failed))

    assert told.startswith("tps a envoyé 22 images")
    assert ("en échec" in told) is bool(failed)
    for nothing in (pull._nothing(PEER, "1.2", [], []), pull._nothing(PEER, "1.2", ["1"], [])):
        assert french(nothing).startswith("tps n’a")
    assert "aucune série" in french(pull._nothing(PEER, "1.2", [], []))


@pytest.mark.parametrize(
    "sentence",
    [
        series._DEFECT.format(doing="plan"),
        intake._LOST.format(status="ERROR"),
        "Given up after several tries: check: database is locked. Look at disk, memory and "
        "database; then run it again.",
        "The stored file of instance 1.2.3 is not what was received. Check the disk; then send the "
        "series again.",
        "Model head-t1 with SHA-256 0123456789ab is not in the models folder. Put that version "
        "back, or run the series again with the newest.",
        "The network gave 3 of 240000 voxels that are no number. Run pctnode models verify; then "
        "run the series again, or with another model.",
    ],
)
def test_why_a_series_failed_is_told(sentence: str) -> None:
    """All of it, remedy included."""
    assert understood(sentence)
    told = french(sentence)
    assert " the " not in told
    assert "again" not in told


def test_how_an_association_went_is_told_with_what_was_kept_out() -> None:
    """Commas within a reason do not cut it."""
    told = french(
        "Released. 3 stored, 1 refused (last: The request has no data set.), commitment report: 3 "
        "stored, 0 not. 2 of 5 contexts not accepted: CT Image Storage: peer 'mr1' may not send; "
        "MR Image Storage: none of its transfer syntaxes is accepted."
    )

    assert told == (
        "Terminée. 3 enregistrées, 1 refusée (la dernière : La demande ne contient pas "
        "d’objet.), rapport d’engagement : 3 conservées, 0 non, 2 contextes sur 5 non acceptés : "
        "CT Image Storage : le système 'mr1' n’a pas le droit d’envoyer ; MR Image Storage : "
        "aucune de ses syntaxes de transfert n’est acceptée."
    )


def test_each_reason_of_a_handshake_is_told() -> None:
    """What a connection to the TLS port may lack."""
    reasons = [*tls_listener._REASONS.values()]
    assert len(reasons) >= 5
    assert [why for why in reasons if not understood(why)] == []


@pytest.mark.parametrize("standing", Standing)
def test_what_lies_aside_is_told_in_the_timeline(standing: Standing) -> None:
    """The timeline keeps the sentence of the finding."""
    found = Aside(sop_instance_uid="1.2.3", path="conflicts/a/b.dcm", standing=standing)
    assert understood(found.as_finding().sentence)
