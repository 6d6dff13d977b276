"""Makes passkeys.json: answers of authenticators, good and hostile, for the tests of src/console/sign_in/webauthn.

    python -m venv venv && venv/bin/pip install fido2==2.2.1 webauthn==3.0.1
    venv/bin/python tests/vectors/passkeys.py

`fido2` writes the keys and CBOR and reads what is good, `cryptography` signs, and `webauthn`, another implementation of the relying party, has to say
the same as what is expected of ours; where it is less strict, the vector says so (`only_ours`). Keys and signatures are new
at each run.
"""

import json
import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import webauthn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.cose import ES256, RS256, EdDSA
from fido2.webauthn import AuthenticatorData
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import COSEAlgorithmIdentifier as Alg

HOST, ORIGIN = "example.com", "https://example.com"
HANDLE = b"019ad000-0000-7000-8000-000000000001"
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
GOOD = UP | UV


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A passkey of one algorithm: its id, its public key in COSE, and how it signs."""

    def __init__(self, alg: str):
        self.alg, self.id = alg, os.urandom(32)
        match alg:
            case "ES256":
                private = ec.generate_private_key(ec.SECP256R1())
                self.cose = ES256.from_cryptography_key(private.public_key())
                self.sign = lambda data: private.sign(data, ec.ECDSA(hashes.SHA256()))
            case "EdDSA":
                private = ed25519.Ed25519PrivateKey.generate()
                self.cose = EdDSA.from_cryptography_key(private.public_key())
                self.sign = private.sign
            case "RS256":
                private = rsa.generate_private_key(65537, 2048)
                self.cose = RS256.from_cryptography_key(private.public_key())
                self.sign = lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())


KEYS = {alg: Key(alg) for alg in ("ES256", "EdDSA", "RS256")}


def client_data(kind: str, challenge: bytes, **changes) -> bytes:
    """As Chromium writes it; a change to None leaves a member out."""
    members = {"type": kind, "challenge": b64(challenge), "origin": ORIGIN, "crossOrigin": False} | changes
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def authenticator_data(host, flags, count, credential, extensions) -> bytes:
    """Put together by hand, since `fido2` does not write what its flags deny."""
    head = sha256(host.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")
    return head + credential + (cbor.encode(extensions) if extensions else b"")


def registration(name, alg="ES256", *, expected=None, only_ours=False, flags=GOOD | AT, count=0, host=HOST, cose=None,
                 extensions=None, trailing=b"", cut=0, fmt="none", statement=None, sent=None, id=None, **changes):
    key, challenge = KEYS[alg], os.urandom(32)
    data = client_data(changes.pop("type", "webauthn.create"), challenge, **changes)
    credential = b""
    if flags & AT:
        credential = bytes(16) + len(key.id).to_bytes(2, "big") + key.id + cbor.encode(dict(cose or key.cose))
    if extensions:
        flags |= ED
    auth = authenticator_data(host, flags, count, credential, extensions) + trailing
    auth = auth[: len(auth) - cut]
    if statement == "self":
        statement = {"alg": KEYS[alg].cose[3], "sig": key.sign(auth + sha256(data).digest())}
    attestation = cbor.encode({"fmt": fmt, "attStmt": statement or {}, "authData": auth})
    response = {
        "id": b64(id or key.id), "rawId": b64(id or key.id), "type": "public-key", "authenticatorAttachment": "platform",
        "clientExtensionResults": {"credProps": {"rk": True}},
        "response": {"clientDataJSON": b64(data), "attestationObject": b64(attestation), "transports": ["internal"]},
    }
    challenge = sent or challenge
    try:
        verified = webauthn.verify_registration_response(
            credential=response, expected_challenge=challenge, expected_rp_id=HOST, expected_origin=ORIGIN,
            require_user_verification=True,
            supported_pub_key_algs=[Alg.EDDSA, Alg.ECDSA_SHA_256, Alg.RSASSA_PKCS1_v1_5_SHA_256],
        )
        theirs = None
        assert verified.credential_id == key.id and verified.sign_count == count, name
        if not expected:
            assert AuthenticatorData(auth).credential_data.public_key == key.cose, name
    except (WebAuthnException, ValueError, KeyError, TypeError) as refused:
        theirs = f"{type(refused).__name__}: {refused}"
    agree(name, expected, theirs, only_ours)
    return {
        "name": name, "challenge": b64(challenge), "answer": response, "refused": expected, "only_ours": only_ours,
        "passkey": None if expected else {
            "credential_id": b64(key.id), "public_key": b64(cbor.encode(dict(key.cose))), "alg": key.cose[3], "sign_count": count,
        },
    }


def sign_in(name, alg="ES256", *, expected=None, only_ours=False, flags=GOOD, count=0, stored=0, host=HOST, extensions=None,
            trailing=b"", cut=0, signature=None, signer=None, handle=HANDLE, sent=None, **changes):
    key, challenge = KEYS[alg], os.urandom(32)
    data = client_data(changes.pop("type", "webauthn.get"), challenge, **changes)
    if extensions:
        flags |= ED
    auth = authenticator_data(host, flags, count, b"", extensions) + trailing
    auth = auth[: len(auth) - cut]
    signature = signature or (signer or key).sign(auth + sha256(data).digest())
    response = {
        "id": b64(key.id), "rawId": b64(key.id), "type": "public-key", "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {"clientDataJSON": b64(data), "authenticatorData": b64(auth), "signature": b64(signature)}
        | ({"userHandle": b64(handle)} if handle else {}),
    }
    challenge = sent or challenge
    public = cbor.encode(dict(key.cose))
    try:
        verified = webauthn.verify_authentication_response(
            credential=response, expected_challenge=challenge, expected_rp_id=HOST, expected_origin=ORIGIN,
            credential_public_key=public, credential_current_sign_count=stored, require_user_verification=True,
        )
        theirs = None
        assert verified.new_sign_count == count, name
    except (WebAuthnException, ValueError, KeyError, TypeError) as refused:
        theirs = f"{type(refused).__name__}: {refused}"
    agree(name, expected, theirs, only_ours)
    return {
        "name": name, "challenge": b64(challenge), "answer": response, "refused": expected, "only_ours": only_ours,
        "stored": {"public_key": b64(public), "sign_count": stored, "handle": b64(HANDLE)}, "sign_count": count,
    }


def agree(name, ours, theirs, only_ours):
    if only_ours:
        assert ours and not theirs, f"{name}: webauthn says {theirs}: only_ours is not needed"
    else:
        assert bool(ours) == bool(theirs), f"{name}: expected {ours}, webauthn says {theirs}"


def both(make, kind, other):
    """What is the same for registration and sign-in."""
    return [
        *(make(f"{alg}", alg) for alg in KEYS),
        make("members that browsers add", other_keys_can_be_added_here="do not compare clientDataJSON with a template", x={"y": [1]}),
        make("without crossOrigin", crossOrigin=None),
        make("with extensions", extensions={"credProtect": 2, "x": {"y": [True, 1, b"z"]}}),
        make("backed up", flags=GOOD | BE | BS | (AT if make is registration else 0)),
        make("a counter", count=7),
        make("origin of another domain that ends the same", origin="https://badexample.com", expected="Origin"),
        make("origin of a sub-domain", origin="https://sub.example.com", expected="Origin"),
        make("origin with a port", origin="https://example.com:8443", expected="Origin"),
        make("origin without TLS", origin="http://example.com", expected="Origin"),
        make("origin with a slash", origin="https://example.com/", expected="Origin"),
        make("origin in capitals", origin="https://EXAMPLE.com", expected="Origin"),
        make("the other ceremony", type=other, expected="Type"),
        make("no type", type="", expected="Type"),
        make("another challenge", sent=os.urandom(32), expected="Challenge"),
        make("embedded in another site", crossOrigin=True, expected="CrossOrigin", only_ours=True),
        make("topOrigin", topOrigin="https://evil.example", expected="CrossOrigin", only_ours=True),
        make("another relying party", host="evil.example", expected="RelyingParty"),
        make("the relying party of a sub-domain", host="sub.example.com", expected="RelyingParty"),
        make("nobody present", flags=UV | (AT if make is registration else 0), expected="UserPresence"),
        make("user not verified", flags=UP | (AT if make is registration else 0), expected="UserVerification"),
        make("backed up and not eligible", flags=GOOD | BS | (AT if make is registration else 0), expected="AuthenticatorData"),
        make("a byte too many", trailing=b"\0", expected="AuthenticatorData"),
        make("a byte too few", cut=1, expected="Cbor" if make is registration else "AuthenticatorData"),
        make("announced extensions that are not there", flags=GOOD | ED | (AT if make is registration else 0), expected="Cbor"),
    ]


es256, eddsa = dict(KEYS["ES256"].cose), dict(KEYS["EdDSA"].cose)
vectors = {
    "site": {"id": HOST, "origin": ORIGIN},
    "registrations": both(registration, "webauthn.create", "webauthn.get") + [
        registration("attestation by itself", fmt="packed", statement="self"),
        registration("no credential", flags=GOOD, expected="AuthenticatorData"),
        registration("another id outside", id=os.urandom(32), expected="AuthenticatorData", only_ours=True),
        registration("an algorithm that was not asked for", cose=es256 | {3: -35}, expected="PublicKey"),
        registration("the algorithm of another type of key", cose=es256 | {3: -8}, expected="PublicKey", only_ours=True),
        registration("another curve", cose=es256 | {-1: 2}, expected="PublicKey", only_ours=True),
        registration("a point that is too short", cose=es256 | {-2: es256[-2][1:]}, expected="PublicKey", only_ours=True),
        registration("an Ed25519 key that is too long", "EdDSA", cose=eddsa | {-2: eddsa[-2] + b"\0"}, expected="PublicKey", only_ours=True),
        registration("a key without its algorithm", cose={k: v for k, v in es256.items() if k != 3}, expected="PublicKey"),
    ],
    "sign_ins": both(sign_in, "webauthn.get", "webauthn.create") + [
        sign_in("the counter rose", count=8, stored=7),
        sign_in("the counter stayed", count=7, stored=7, expected="Counter"),
        sign_in("the counter of a copy", count=3, stored=7, expected="Counter"),
        sign_in("a counter that stopped", count=0, stored=7, expected="Counter"),
        sign_in("signed by another key", signer=Key("ES256"), expected="Signature"),
        sign_in("a signature of nothing", signature=b"\0", expected="Signature"),
        sign_in("a signature by another algorithm", "RS256", signer=KEYS["EdDSA"], expected="Signature"),
        sign_in("another account", handle=b"019ad000-0000-7000-8000-000000000002", expected="UserHandle", only_ours=True),
        sign_in("no account", handle=None, expected="UserHandle", only_ours=True),
    ],
}
target = Path(__file__).with_suffix(".json")
target.write_text(json.dumps(vectors, indent=1) + "\n")
print(f"{target.name}: {len(vectors['registrations'])} registrations, {len(vectors['sign_ins'])} sign-ins")
