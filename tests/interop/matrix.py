"""Which library accepts which token with its default options: what is expected, and the table of what was found.

A cell is a signing algorithm and a kind of token (how long it is valid), such as `ES256 far`. A verdict is `accepts`, or
`refuses: ` and the message of the library, of which an expected verdict has a part. The tests of each language compare the
verdicts of their libraries with the expected ones, and append them to the file named by MINTMARK_VERDICTS: one line with
library, cell and verdict, separated by tabs.
"""

import sys
from pathlib import Path

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
# Valid for an hour; never expiring, with `exp` in the year 2200; never expiring, without `exp`.
KINDS = ["normal", "far", "omit"]
CELLS = [f"{alg} {kind}" for alg in ALGORITHMS for kind in KINDS]


def library(omit: str = "accepts", eddsa: str = "accepts") -> dict[str, str]:
    """The verdicts of a library that accepts all tokens, except perhaps those without `exp` or with EdDSA."""
    def verdict(cell: str) -> str:
        if cell.startswith("EdDSA") and eddsa != "accepts":
            return eddsa
        return omit if cell.endswith("omit") else "accepts"
    return {cell: verdict(cell) for cell in CELLS}


def expected() -> dict[str, dict[str, str]]:
    """Library → cell → verdict."""
    return {
        "PyJWT": library(),
        "joserfc": library(),
        # Validators of RFC 9068, which requires `exp` and `typ: at+jwt`. Tokens without `exp` have `typ: JWT`.
        "Authlib, RFC 9068": library(omit="refuses: Invalid claim: 'typ'", eddsa="refuses: Algorithm of 'EdDSA' is not recommended"),
        "oauth4webapi, RFC 9068": library(omit="refuses: unexpected"),
        "jose": library(),
        "jsonwebtoken (npm)": library(eddsa="refuses: invalid algorithm"),
        "jsonwebtoken (Rust)": library(omit="refuses: MissingRequiredClaim"),
    }


def report(verdicts: Path) -> None:
    """Prints the table of what was found; a missing cell is an error."""
    found = dict(((name, cell), verdict) for name, cell, verdict in (line.split("\t") for line in verdicts.read_text().splitlines()))
    width = max(len(name) for name in expected())
    print("\n" + " " * width, *(f"{cell:<12}" for cell in CELLS), sep="  ")
    for name in expected():
        print(f"{name:<{width}}", *(f"{found.get((name, cell), 'MISSING').split(':')[0]:<12}" for cell in CELLS), sep="  ")
    for (name, cell), verdict in found.items():
        if verdict != "accepts":
            print(f"{name}, {cell}: {verdict}")
    missing = [(name, cell) for name in expected() for cell in CELLS if (name, cell) not in found]
    if missing:
        sys.exit(f"no verdict for {missing}")
