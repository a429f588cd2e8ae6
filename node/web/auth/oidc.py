"""Log-in by the hospital's identity provider: OpenID Connect, code flow with PKCE (Authlib)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError

from node.domain.access import Role
from node.domain.errors import Rejected, Retryable

# A signature that only the provider can make: never "none", never one shared with us.
_SIGNED_BY = ("RS", "PS", "ES", "Ed")
_TIMEOUT_S = 10.0
# The provider tells whole seconds, and machines of it that answer may differ by one or two.
_ROUNDING_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the provider says of who logged in."""

    subject: str
    """Issuer and subject: never given to anybody else."""
    name: str
    display_name: str
    groups: frozenset[str]
    authenticated_ago_s: float | None
    """When the person last proved himself there, before the token was issued, by the provider's
    clock alone; None where it does not say (OpenID Connect Core 2, ``auth_time``)."""

    def is_proved_since(self, age_s: float) -> bool:
        """Whether the person proved himself after a request that was made ``age_s`` ago.

        ``prompt`` and ``max_age`` are words in an address that the person's own browser carries:
        he can drop them, and a provider may ignore them.
        """
        ago_s = self.authenticated_ago_s
        return ago_s is not None and -_ROUNDING_S <= ago_s <= age_s + _ROUNDING_S


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One identity provider."""

    issuer: str
    client_id: str
    client_secret: str
    roles_claim: str
    """Claim that holds groups."""
    groups: Mapping[str, tuple[str, ...]]
    """Role to the groups that have it."""

    def role_of(self, claims: Claims) -> Role:
        """The mightiest role of somebody's groups; `Rejected` when no group has one."""
        found = [role for role in Role if claims.groups & set(self.groups.get(role, ()))]
        if not found:
            raise Rejected(
                f"{claims.name} is in no group that this node knows.",
                code="ROLE",
                remedy="An administrator names the groups in [oidc] of the settings.",
            )
        return found[-1]

    async def begin(self, redirect_uri: str, *, again: bool) -> dict[str, str]:
        """Where to send the browser, and what to keep until it comes back.

        ``again`` has the provider ask for the password even where its own session stands.
        """
        more = {"prompt": "login", "max_age": "0"} if again else {}
        try:
            await self._load()
            made = await self._client.create_authorization_url(redirect_uri, **more)
        except httpx2.HTTPError as error:
            raise self._silent(error) from None
        kept = {key: str(made[key]) for key in ("url", "state", "nonce", "code_verifier")}
        return kept | {"redirect_uri": redirect_uri}

    async def finish(self, code: str, kept: Mapping[str, str]) -> Claims:
        """Change the code for the claims; raises `Rejected` when they do not hold."""
        try:
            await self._load()
            token = await self._client.fetch_access_token(
                redirect_uri=kept["redirect_uri"], code=code, code_verifier=kept["code_verifier"]
            )
            claims = await self._client.parse_id_token(token, nonce=kept["nonce"])
            if claims is None:
                raise self._refused("it sent no ID token")
            said = dict(claims)
            if self.roles_claim not in said and self._client.server_metadata.get(
                "userinfo_endpoint"
            ):
                more = dict(await self._client.userinfo(token=token))
                said |= more if more.get("sub") == said["sub"] else {}
        except httpx2.HTTPError as error:
            raise self._silent(error) from None
        except (OAuthError, JoseError, ValueError) as error:
            raise self._refused(str(error)) from None
        return _read_claims(said, self.roles_claim)

    @cached_property
    def _client(self) -> Any:
        return OAuth().register(
            "provider",
            client_id=self.client_id,
            client_secret=self.client_secret,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_S,
            },
        )

    async def _load(self) -> None:
        metadata = await self._client.load_server_metadata()
        if metadata.get("issuer", "").rstrip("/") != self.issuer:
            raise self._refused(f"it calls itself {metadata.get('issuer')!r}")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        safe = [name for name in offered if name.startswith(_SIGNED_BY)]
        metadata["id_token_signing_alg_values_supported"] = safe

    def _silent(self, error: Exception) -> Retryable:
        return Retryable(
            f"The identity provider {self.issuer} does not answer ({type(error).__name__}).",
            remedy="Try again; if it lasts, tell whoever runs it.",
        )

    def _refused(self, why: str) -> Rejected:
        return Rejected(
            f"The answer of the identity provider {self.issuer} does not hold: {why}.",
            code="OIDC",
            remedy="Try again; if it lasts, compare [oidc] with the provider's settings.",
        )


def _read_claims(said: Mapping[str, Any], roles_claim: str) -> Claims:
    groups = said.get(roles_claim, ())
    name = said.get("preferred_username") or said.get("email") or said["sub"]
    return Claims(
        subject=f"{said['iss']}|{said['sub']}",
        name=str(name),
        display_name=str(said.get("name") or name),
        groups=frozenset([groups] if isinstance(groups, str) else map(str, groups)),
        authenticated_ago_s=_ago_s(said),
    )


def _ago_s(said: Mapping[str, Any]) -> float | None:
    moments = said.get("iat"), said.get("auth_time")
    if not all(isinstance(m, int | float) and not isinstance(m, bool) for m in moments):
        return None
    return float(moments[0]) - float(moments[1])  # type: ignore[arg-type]
