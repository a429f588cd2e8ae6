"""Whatever a person can meet on the page is told in French as in English."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.dicom.headers import read_instance
from node.domain.codes.table import sentence
from node.domain.errors import Misconfigured, NodeError, Rejected
from node.domain.plan import ReleasePolicy
from node.domain.reading import Reader
from node.domain.routing import Sender, why_not
from node.domain.site import Route, When, read_site
from node.domain.wording import Language
from node.web.messages import faults
from node.web.messages.sentences import spoken, understood
from node.web.messages.texts import TEXTS, Translator
from node.web.views.timeline import finding_sentence
from tests.phantoms.mr import mr_series
from tests.web.guarded import Node, node_with_accounts

ROOT = Path(__file__).parents[2]
# Where faults are raised that reach a page: every sentence in them must be spoken.
SOURCES = (
    "node/domain/access.py", "node/domain/names.py", "node/domain/reading.py",
    "node/domain/site.py", "node/domain/sign_off.py", "node/archive/people/accounts.py",
    "node/archive/work/withdrawing.py", "node/archive/people/credentials.py",
    "node/archive/work/decisions.py",
    "node/archive/work/adoption.py", "node/archive/evidence/corrections.py",
    "node/flow/corrections.py",
    "node/archive/site/model_repository.py", "node/archive/rows/sign_offs.py",
    "node/archive/site/site_repository.py",
    "node/archive/site/site_entries.py", "node/flow/client.py", "node/scp/admission.py",
    "node/run/route_dry_run.py", "node/web/auth/oidc.py", "node/web/auth/proof.py",
    "node/web/auth/security.py",
    "node/web/uploads.py",
)  # fmt: skip
_RAISED = ("Rejected", "Misconfigured", "Retryable", "TooMany", "Refused", "fault", "BadSetting",
           "HTTPException", "_changed", "_too_heavy")  # fmt: skip
# Never on a page: said to a shell or to a program, or put together from parts that are tried below.
_ELSEWHERE = (
    "There is no account", "is not a UID", "A UID is at most", "This process has no archive",
    "X1 X1.", "X1 called X1;", "X1 is not X1.", "Write X1.",
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node with an account of each role."""
    with node_with_accounts(tmp_path_factory.mktemp("french")) as served:
        yield served


def _example(node: ast.expr) -> str | None:
    """A sentence as somebody would read it, each value of an f-string as ``X1``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "X1" for part in node.values
        )
    return None


def _sentences(file: Path) -> Iterator[tuple[str, int]]:
    """What the faults raised in a file say: messages and remedies."""
    for call in ast.walk(ast.parse(file.read_text())):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name not in _RAISED:
            continue
        told = [*call.args, *(k.value for k in call.keywords if k.arg in ("remedy", "sentence"))]
        for value in told:
            text = _example(value)
            if text and " " in text and (text[-1] in ".?" or text.startswith("Begin")):
                yield text, call.lineno


@pytest.mark.parametrize("name", SOURCES)
def test_every_sentence_a_fault_says_is_spoken(name: str) -> None:
    """A new sentence in these files without its French fails here."""
    mute = [
        f"{name}:{line}: {text}"
        for text, line in _sentences(ROOT / name)
        if not any(part in text for part in _ELSEWHERE) and not understood(text)
    ]

    assert mute == []


def test_the_search_for_sentences_finds_them() -> None:
    """The files above hold sentences at all, so that a moved one is missed here."""
    found = [text for name in SOURCES for text, _ in _sentences(ROOT / name)]
    assert len(found) > 90
    assert not understood("A sentence nobody has put into French.")


@pytest.mark.parametrize(
    "mapping",
    [
        {"peers": [{"name": "a b", "ae_title": "A", "host": "h", "port": 1}]},
        {"peers": [{"name": "a", "ae_title": "A" * 17, "host": "h", "port": 1}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "?", "port": 1}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h", "port": 0}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h", "port": "x"}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h", "port": 1, "may": ["fly"]}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h", "port": 1, "prof": "x"}]},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h", "port": 1}] * 2},
        {"peers": [{"name": "a", "ae_title": "A", "host": "h"}]},
        {"routes": [{"name": "r", "model": "m", "deliver_to": ["nobody"]}]},
        {"routes": [{"name": "r", "model": "m", "release": "never"}]},
        {"routes": [{"name": "r", "model": "m", "findings": {"SLICE_GAPP": "hold"}}]},
        {"routes": [{"name": "r", "model": "m", "findings": {"SLICE_GAP": "warn"}}]},
        {"routes": [{"name": "r", "model": "m", "findings": {"SLICE_GAP": "no"}}]},
    ],
)
def test_a_wrong_setting_is_told_in_french_with_place_and_value(mapping: dict[str, object]) -> None:
    """What the forms of the network page are refused with, as the reader meets it."""
    with pytest.raises(Misconfigured) as caught:
        read_site(Reader(mapping))
    t = Translator(Language.FR)
    why, to_do = faults.why(t, caught.value), faults.to_do(t, caught.value)

    assert why != caught.value.message
    assert to_do != caught.value.remedy
    place = caught.value.message.split(":")[0]
    assert why.startswith(f"{place}\u00a0:")
    assert not re.search(r"\b(is|the|not|there|one of|Write)\b", f"{why} {to_do}"), (why, to_do)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("decide", Rejected("x", code="CHANGED")),
        ("decide", Rejected("x", code="SIGN_OFF")),
        ("decide", Rejected("x", code="WARNINGS")),
        ("models", Rejected("x", code="SIGNED_OFF")),
        ("models", Rejected("x", code="UNKNOWN")),
    ],
)
def test_a_known_code_is_told_by_its_code(place: str, error: NodeError) -> None:
    """The table's own words in either language, and something to do."""
    for language in Language:
        t = Translator(language)
        assert faults.known(error, place)
        assert not faults.known(error, "network")  # another page, another thing
        assert faults.why(t, error, place) in {
            text[language == Language.FR] for text in TEXTS.values()
        }
        assert faults.to_do(t, error, place)


def test_the_pages_speak_french_where_they_refuse(node: Node) -> None:
    """A taken name, a short password, a role too high, a page that is not allowed."""
    admin, viewer = node.session("admin"), node.session("viewer")
    for client in (admin, viewer):
        client.cookies.set("pctnode_language", "fr")
    taken = admin.post("/accounts", data={"name": "viewer", "role": "viewer", "password": "x" * 14})
    short = admin.post("/accounts", data={"name": "neu", "role": "viewer", "password": "x"})
    last = admin.post("/accounts/admin", data={"role": "viewer"})
    high = viewer.post("/account/tokens", data={"label": "x", "role": "admin", "days": 1})
    away = viewer.get("/audit", headers={"Accept": "text/html"})

    assert "existe déjà" in taken.text
    assert "Le mot de passe a 1 caractères" in short.text
    assert "dernier administrateur" in last.text
    assert "ne peut donner à un jeton" in high.text
    assert "demande le rôle admin" in away.text


def test_a_place_stays_a_place() -> None:
    """The path of a setting is no sentence: it is the same in both languages."""
    english = "peers[2].port: 0 is not between 1 and 65535."
    french = "peers[2].port\u00a0: 0 n’est pas entre 1 et 65535."
    assert spoken(english, Language.FR) == french
    assert spoken(english, Language.EN) == english


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("Released.", "Terminée."),
        ("Released. 138 stored, 2 duplicate.", "Terminée. 138 enregistrées, 2 déjà présentes."),
        (
            "Aborted by the peer. 31 stored, 1 refused (last: no space).",
            "Interrompue par le système. 31 enregistrées, 1 refusée (la dernière\u00a0: no space).",
        ),
        (
            "Released. commitment report: 3 stored, 1 not.",
            "Terminée. Rapport d’engagement\u00a0: 3 conservées, 1 non.",
        ),
    ],
)
def test_how_an_association_went_is_told_in_french(english: str, french: str) -> None:
    """Each part that the receiver writes down, in its own words."""
    assert spoken(english, Language.FR) == french


def test_numbers_and_marks_are_french() -> None:
    """Decimal commas, a true minus, apostrophes and guillemets; addresses and UIDs stay."""
    told = finding_sentence(
        {
            "code": "SLICE_GAP",
            "values": {
                "missing": "3",
                "spacing_mm": "1.5",
                "gaps": "image 88 (-87.5 -112 40) – image 92 (-83.5 -112 40): 4.5 mm",
            },
        },
        "fr",
    )
    assert "1,5" in told
    assert "(−83,5 −112 40)\u00a0: 4,5 mm" in told
    assert sentence("BODY_AT_EDGE", {"sides": "front"}, "fr").count("’") == 1
    assert sentence("UID_INVALID", {"attribute": "A", "value": "1.2.840.113619"}, "fr").startswith(
        "A vaut 1.2.840.113619, ce qui n’est"
    )
    assert spoken("TPS answers as TPS in 0.25 s.", "fr") == (
        "TPS répond en tant que TPS en 0,25 s."
    )
    unknown = (
        "'CT_WS3' at 10.20.9.77 is no peer of this node, and unknown peers are refused; known AE "
        "titles: PACS."
    )
    assert spoken(unknown, "fr").startswith("«\u00a0CT_WS3\u00a0» (10.20.9.77) n’est pas")
    assert spoken("Released. SERIES query: 4 matches.", "fr") == (
        "Terminée. Requête SERIES\u00a0: 4 réponses."
    )


@pytest.mark.parametrize(
    ("part", "sender", "french"),
    [
        ("PELVIS", "pacs", "body_part vaut PELVIS au lieu de HEAD ou BRAIN"),
        ("", "pacs", "body_part est vide au lieu de HEAD ou BRAIN"),
        ("HEAD", "mr9", "elle vient de mr9, pas de pacs"),
        ("HEAD", None, "son expéditeur n’est pas un système connu\u00a0; la règle demande pacs"),
    ],
)
def test_why_a_route_is_not_taken_is_told(part: str, sender: str | None, french: str) -> None:
    """As the dry run says it."""
    when = When(senders=("pacs",), patterns={"body_part": ("HEAD", "BRAIN")})
    route = Route(name="head", when=when, model="m", deliver_to=(), release=ReleasePolicy.SIGNATURE)
    (first, *_) = mr_series((2, 4, 4), (4.0, 4.0, 4.0)).datasets
    instance = replace(read_instance(first), body_part=part)
    why = why_not(route, instance, Sender(peer=sender, called_ae="NODE"))

    assert why is not None
    assert spoken(why, "fr") == french


@pytest.mark.parametrize("golden", [True, False])
def test_what_a_verification_says_is_told(golden: bool) -> None:
    """Hash and golden case, or the hash alone."""
    said = (
        "hash and golden case right, 0.004 HU off"
        if golden
        else ("hash right; the model has no golden case")
    )
    assert understood(said)
    assert ("0,004 UH" in spoken(said, "fr")) == golden
