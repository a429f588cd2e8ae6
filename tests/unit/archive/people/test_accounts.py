"""Accounts: passwords, limits of guessing, sessions, tokens, tickets."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.people.accounts import ADDRESS_LIMIT, PAIR_LIMIT, Accounts, TooMany
from node.archive.people.audit import Audit
from node.archive.people.credentials import Credentials
from node.archive.schema import tables as t
from node.domain.access import Identity, Role
from node.domain.errors import Rejected

PASSWORD = "correct horse battery"  # noqa: S105 - of this test


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database with an administrator and a physicist; a hash takes its time, once."""
    file = tmp_path_factory.mktemp("accounts") / "node.db"
    engine = t.open_engine(t.sqlite_url(file))
    t.metadata.create_all(engine)
    made = Accounts(engine)
    made.add("root", Role.ADMIN, PASSWORD, who="test")
    made.add("Anna", Role.PHYSICIST, PASSWORD, who="test", display_name="A. Martin")
    engine.dispose()
    return file


@pytest.fixture
def accounts(template: Path, tmp_path: Path) -> Accounts:
    """Give a copy of the database."""
    shutil.copy(template, tmp_path / "node.db")
    return Accounts(t.open_engine(t.sqlite_url(tmp_path / "node.db")))


@pytest.mark.long
def test_passwords_are_kept_as_argon2id(accounts: Accounts) -> None:
    """What the database holds is an Argon2id hash of 64 MiB."""
    with accounts.engine.connect() as connection:
        hashes = connection.execute(sa.select(t.accounts.c.password_hash)).scalars().all()

    assert all(h.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for h in hashes)
    assert len(set(hashes)) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("anna", PASSWORD, "NAME"),
        ("Anna", PASSWORD, "NAME"),
        ("bob smith", PASSWORD, "NAME"),
        ("bob", "short", "PASSWORD"),
        ("bob", "x" * 257, "PASSWORD"),
        ("physicist.one", "physicist.one1", "PASSWORD"),
    ],
)
def test_what_cannot_be_an_account(accounts: Accounts, name: str, password: str, code: str) -> None:
    """Taken or misspelt names and weak passwords are refused with their reason."""
    with pytest.raises(Rejected) as caught:
        accounts.add(name, Role.VIEWER, password, who="test")

    assert caught.value.code == code
    assert len(accounts.all()) == 2


@pytest.mark.long
def test_wrong_names_and_passwords_sound_alike(accounts: Accounts) -> None:
    """Nobody learns from the answer which names there are, nor who is disabled."""
    accounts.change("anna", who="test", disabled=True)
    said = set()
    for name, password in (("anna", PASSWORD), ("root", "wrong"), ("nobody", "wrong")):
        with pytest.raises(Rejected) as caught:
            accounts.log_in(name, password, address="10.0.0.1")
        said.add(str(caught.value))

    assert len(said) == 1


@pytest.mark.long
def test_guessing_ends_for_the_guesser_alone(accounts: Accounts) -> None:
    """After five failures an address cannot try that name; the owner elsewhere still can."""
    for _ in range(PAIR_LIMIT):
        with pytest.raises(Rejected):
            accounts.log_in("anna", "wrong", address="10.0.0.66")

    with pytest.raises(TooMany):
        accounts.log_in("anna", PASSWORD, address="10.0.0.66")
    assert accounts.log_in("anna", PASSWORD, address="10.0.0.2")


@pytest.mark.long
def test_guesses_at_the_same_time_are_all_counted(accounts: Accounts) -> None:
    """Twenty tries in parallel are no way round the limit."""

    def guess(n: int) -> type[Exception]:
        try:
            accounts.log_in("anna", f"wrong {n}", address="10.0.0.66")
        except (Rejected, TooMany) as error:
            return type(error)
        return AssertionError

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(guess, range(20)))

    assert ends.count(Rejected) == PAIR_LIMIT
    assert ends.count(TooMany) == 20 - PAIR_LIMIT


def test_an_address_cannot_try_many_names(accounts: Accounts) -> None:
    """The failures of one address count together, whatever names it tries."""
    f = t.log_in_failures
    with accounts.engine.begin() as connection:
        for n in range(ADDRESS_LIMIT):
            connection.execute(
                sa.insert(f).values(at=t.db_clock(), name=str(n), address="10.9.9.9")
            )

    with pytest.raises(TooMany):
        accounts.log_in("anna", PASSWORD, address="10.9.9.9")


@pytest.mark.long
def test_success_forgets_the_failures_before_it(accounts: Accounts) -> None:
    """Whoever mistypes four times and then not may mistype again."""
    for tries in (PAIR_LIMIT - 1, 1):
        for _ in range(tries):
            with pytest.raises(Rejected):
                accounts.log_in("anna", "wrong", address="10.0.0.3")
        accounts.log_in("anna", PASSWORD, address="10.0.0.3")


def test_what_was_typed_as_a_name_is_not_kept(accounts: Accounts) -> None:
    """A password typed into the wrong field reaches neither table."""
    with pytest.raises(Rejected):
        accounts.log_in("my secret password", "anna", address="10.0.0.3")

    with accounts.engine.connect() as connection:
        kept = str(connection.execute(sa.select(t.log_in_failures)).all())
        kept += str(connection.execute(sa.select(t.audit)).all())
    assert "my secret password" not in kept
    assert "unknown name" in kept


def test_the_last_administrator_stays_one(accounts: Accounts) -> None:
    """Neither role nor account of the last administrator can be taken."""
    for change in ({"role": Role.VIEWER}, {"disabled": True}):
        with pytest.raises(Rejected) as caught:
            accounts.change("root", who="test", **change)
        assert caught.value.code == "LAST_ADMIN"

    assert {a["name"]: a["role"] for a in accounts.all()}["root"] == "admin"


def _session(engine: sa.Engine, name: str) -> str:
    with engine.connect() as connection:
        query = sa.select(t.accounts.c.id).where(t.accounts.c.name == name)
        number = connection.execute(query).scalar_one()
    return Credentials(engine).open_session(number, address="10.0.0.1", hours=1)


@pytest.mark.parametrize("how", ["password", "role", "disabled", "log out", "expired"])
def test_sessions_end_with_what_they_stood_on(accounts: Accounts, how: str) -> None:
    """A new password, role or lock, a log-out and time each end a session."""
    credentials = Credentials(accounts.engine)
    secret = _session(accounts.engine, "anna")
    identity = credentials.session(secret)
    assert identity is not None
    assert (identity.name, identity.role) == ("anna", Role.PHYSICIST)

    if how == "password":
        accounts.set_password("anna", "another long password", who="test")
    elif how == "role":
        accounts.change("anna", who="test", role=Role.VIEWER)
    elif how == "disabled":
        accounts.change("anna", who="test", disabled=True)
    elif how == "log out":
        credentials.close_session(secret)
    else:
        with accounts.engine.begin() as connection:
            connection.execute(sa.update(t.sessions).values(expires_at=t.db_clock() - 1))

    assert credentials.session(secret) is None


def test_a_token_is_never_mightier_than_its_account(accounts: Accounts) -> None:
    """No token above the owner's role; a token follows the account down."""
    credentials = Credentials(accounts.engine)
    anna = credentials.session(_session(accounts.engine, "anna"))
    assert anna is not None

    with pytest.raises(Rejected):
        credentials.add_token(anna, label="x", role=Role.ADMIN, days=1)
    secret = credentials.add_token(anna, label="x", role=Role.PHYSICIST, days=1)
    accounts.change("anna", who="test", role=Role.VIEWER)
    identity = credentials.token(secret)

    assert isinstance(identity, Identity)
    assert identity.role is Role.VIEWER
    accounts.change("anna", who="test", disabled=True)
    assert credentials.token(secret) is None


def test_secrets_are_kept_as_hashes(accounts: Accounts) -> None:
    """Whoever reads the database can use no session, token or ticket."""
    credentials = Credentials(accounts.engine)
    session = _session(accounts.engine, "root")
    root = credentials.session(session)
    assert root is not None
    token = credentials.add_token(root, label="x", role=Role.ADMIN, days=0)
    ticket = credentials.issue("set up", {}, hours=1)

    with accounts.engine.connect() as connection:
        everything = str(
            [connection.execute(sa.select(table)).all() for table in t.metadata.sorted_tables]
        )
    assert all(secret not in everything for secret in (session, token, ticket))


def test_a_ticket_works_once(accounts: Accounts) -> None:
    """Of several who come with the same ticket at once, one gets it."""
    credentials = Credentials(accounts.engine)
    ticket = credentials.issue("set up", {"a": 1}, hours=1)

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: credentials.take("set up", ticket), range(4)))

    assert sorted(got, key=str) == [None, None, None, {"a": 1}] or got.count({"a": 1}) == 1
    assert credentials.take("other", credentials.issue("set up", {}, hours=1)) is None


def test_a_subject_takes_no_name_of_others(accounts: Accounts) -> None:
    """An identity provider's user called as a local account does not become it."""
    with pytest.raises(Rejected):
        accounts.by_subject(
            "https://idp|1", name="root", display_name="", role=Role.ADMIN, who="https://idp"
        )

    number = accounts.by_subject(
        "https://idp|1", name="eva", display_name="Eva", role=Role.VIEWER, who="https://idp"
    )
    again = accounts.by_subject(
        "https://idp|1", name="renamed", display_name="Eva", role=Role.ADMIN, who="https://idp"
    )
    assert number == again
    assert {a["name"]: a["role"] for a in accounts.all()}["eva"] == "admin"


@pytest.mark.long
def test_every_change_is_in_the_audit_trail(accounts: Accounts) -> None:
    """Adding, changing and failing leave their lines, by whom."""
    accounts.change("anna", who="root", role=Role.VIEWER)
    accounts.set_password("anna", "another long password", who="root")

    acts = [(r["who"], r["action"], r["target"]) for r in reversed(Audit(accounts.engine).rows())]
    assert acts == [
        ("test", "add account", "account root"),
        ("test", "add account", "account anna"),
        ("root", "change account", "account anna"),
        ("root", "set password", "account anna"),
    ]
