"""A stand-in for the Hub's login: OpenID Connect over https on this machine, strict where the real one is strict.

It knows one application (id, secret, redirect address), gives each code once, and signs what it says of a person.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

APPLICATION, SECRET, SCOPES = "studio-application", "a-secret-of-the-space", "openid profile"


@dataclass
class HubLogin:
    """Serves until `close`; `person` is who logs in next."""

    folder: Path
    redirect: str
    person: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def start(self) -> HubLogin:
        """Make a certificate, then listen."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key = RSAKey.import_key(_pem(key))
        self.certificate = self.folder / "hub.pem"
        self.certificate.write_bytes(_certificate(key) + _pem(key))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def variables(self, space: str, host: str) -> dict[str, str]:
        """What a Space with ``hf_oauth: true`` finds in its environment."""
        return {
            "SYSTEM": "spaces", "SPACE_ID": space, "SPACE_HOST": host, "SPACE_AUTHOR_NAME": space.split("/")[0],
            "OAUTH_CLIENT_ID": APPLICATION, "OAUTH_CLIENT_SECRET": SECRET, "OAUTH_SCOPES": SCOPES,
            "OPENID_PROVIDER_URL": self.address, "SSL_CERT_FILE": str(self.certificate),
        }  # fmt: skip

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/oauth/authorize",
            "token_endpoint": f"{self.address}/oauth/token",
            "userinfo_endpoint": f"{self.address}/oauth/userinfo",
            "jwks_uri": f"{self.address}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent after the person has agreed.

        Raises:
            ValueError: For another application, another redirect address, or a missing state.
        """
        if asked.get("client_id") != APPLICATION or asked.get("response_type") != "code":
            raise ValueError("unknown application")
        if asked.get("redirect_uri", "").split("?")[0] != self.redirect:
            raise ValueError("redirect address is not registered")
        if not asked.get("state") or not set(asked.get("scope", "").split()) <= set(SCOPES.split()):
            raise ValueError("no state, or a scope that was not granted")
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"nonce": asked.get("nonce"), "redirect": asked["redirect_uri"]}
        separator = "&" if "?" in asked["redirect_uri"] else "?"
        return f"{asked['redirect_uri']}{separator}{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> dict[str, Any]:
        """The tokens for a code.

        Raises:
            ValueError: For a wrong secret, a code that was used before, or another redirect address.
        """
        expected = base64.b64encode(f"{APPLICATION}:{SECRET}".encode()).decode()
        by_body = (asked.get("client_id"), asked.get("client_secret")) == (APPLICATION, SECRET)
        if authorization != f"Basic {expected}" and not by_body:
            raise ValueError("wrong secret")
        given = self.codes.pop(asked.get("code", ""), None)
        if given is None or asked.get("redirect_uri") != given["redirect"]:
            raise ValueError("this code was not given, or was used")
        now = int(time.time())
        claims = {"iss": self.address, "aud": APPLICATION, "iat": now, "exp": now + 3600, **self.person}
        if given["nonce"]:
            claims["nonce"] = given["nonce"]
        signed = jwt.encode({"alg": "RS256", "kid": self.key.thumbprint()}, claims, self.key)
        token = f"hf_oauth_{secrets.token_urlsafe(12)}"
        return {"access_token": token, "token_type": "bearer", "expires_in": 3600, "id_token": signed, "scope": SCOPES}


def _handler(hub: HubLogin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                return self._json(hub.configuration())
            if parts.path == "/jwks":
                public = {**hub.key.as_dict(private=False), "kid": hub.key.thumbprint(), "use": "sig", "alg": "RS256"}
                return self._json({"keys": [public]})
            if parts.path == "/oauth/authorize":
                return self._try(lambda: self._send(hub.authorize(_flat(parts.query))))
            return self._json({"error": "not found"}, 404)

        def do_POST(self) -> None:
            asked = _flat(self.rfile.read(int(self.headers["content-length"])).decode())
            if self.path != "/oauth/token":
                return self._json({"error": "not found"}, 404)
            return self._try(lambda: self._json(hub.token(asked, self.headers.get("authorization", ""))))

        def _try(self, answer: Any) -> None:
            try:
                answer()
            except ValueError as error:
                hub.refusals.append(str(error))
                self._json({"error": "invalid_request", "error_description": str(error)}, 400)

        def _send(self, where: str) -> None:
            self.send_response(302)
            self.send_header("location", where)
            self.end_headers()

        def _json(self, found: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def _flat(query: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(query).items()}


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
