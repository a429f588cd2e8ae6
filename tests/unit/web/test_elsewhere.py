"""Where an sCT may be beyond what its deliveries say."""

from node.web.views.series_view import elsewhere


def _delivery(destination: str, state: str, via: str | None = None) -> dict[str, str | None]:
    return {"destination": destination, "state": state, "via": via}


def _item(deliveries: list[dict[str, str | None]], *places: str) -> dict[str, object]:
    return {"deliveries": deliveries, "places": [{"name": name} for name in places]}


def test_what_is_delivered_is_not_told_twice() -> None:
    """Its delivery says so already."""
    assert elsewhere(_item([_delivery("TPS", "confirmed")], "TPS")) == []


def test_who_was_left_for_a_stand_in_is_told_of() -> None:
    """TPS may have some of it, though the delivery says that the spare has all."""
    assert elsewhere(_item([_delivery("TPS", "sent", "SPARE")], "TPS", "SPARE")) == ["TPS"]


def test_who_fetched_it_and_who_is_being_sent_it_are_told_of() -> None:
    """Neither has said that it is stored there."""
    places = ("TPS", "ada (DICOMweb)")
    assert elsewhere(_item([_delivery("TPS", "waiting")], *places)) == list(places)
