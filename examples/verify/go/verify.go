// Verifies a Mintmark access token with nothing but Go's standard library (1.19 or newer):
//
//	ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… go run verify.go
//
// PRODUCT (default gst) is what the token has to open. ALLOW_NEVER_EXPIRING=1 accepts tokens that have no end.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"
)

type jwk struct{ Kid, Alg, Crv, X, Y, N, E string }

type header struct {
	Alg, Kid, Typ string
	Crit          json.RawMessage
}

type claims struct {
	Iss          string
	Aud          oneOrMany
	Exp, Nbf     *int64
	ClientID     string `json:"client_id"`
	WorkspaceID  string `json:"workspace_id"`
	Products     []string
	NeverExpires bool `json:"never_expires"`
	Cnf          json.RawMessage
}

// oneOrMany reads an `aud`: a string when there is one, an array otherwise.
type oneOrMany []string

func (many *oneOrMany) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*many = []string{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(many))
}

type verifier struct {
	issuer, audience, product string
	allowNeverExpiring        bool
	keys                      map[string]jwk // by kid; in a service fetch them again every five minutes
}

func (v verifier) verify(token string) (*claims, error) {
	var h header
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || decode(parts[0], &h) != nil || h.Crit != nil {
		return nil, errors.New("it is no token that is understood here")
	}
	key, known := v.keys[h.Kid]
	if !known || key.Alg != h.Alg || !key.signed(parts[0]+"."+parts[1], bytes(parts[2])) {
		return nil, errors.New("no key of the issuer has signed it")
	}
	if decode(parts[1], &c) != nil || c.Iss != v.issuer || !has(c.Aud, v.audience) {
		return nil, errors.New("it is of another issuer, or for another audience")
	}
	if err := v.checkKind(h, c, time.Now().Unix()); err != nil {
		return nil, err
	}
	if !has(c.Products, v.product) {
		return nil, fmt.Errorf("it does not open %s", v.product)
	}
	return &c, nil
}

func (v verifier) checkKind(h header, c claims, now int64) error {
	endless, typ := c.Exp == nil, "at+jwt"
	if endless {
		typ = "jwt"
	}
	switch {
	case c.NeverExpires && !v.allowNeverExpiring || endless && !c.NeverExpires:
		return errors.New("it never expires")
	case !endless && now >= *c.Exp+5 || c.Nbf != nil && *c.Nbf > now+5:
		return errors.New("it has expired, or is not valid yet")
	case strings.TrimPrefix(strings.ToLower(h.Typ), "application/") != typ:
		return errors.New("it is no access token")
	case c.Cnf != nil:
		return errors.New("it needs a proof that is not checked here")
	}
	return nil
}

// signed says whether the key has signed the text, by the one algorithm that the key set names for it.
func (key jwk) signed(text string, signature []byte) bool {
	sum := sha256.Sum256([]byte(text))
	number := func(part string) *big.Int { return new(big.Int).SetBytes(bytes(part)) }
	modulus := &rsa.PublicKey{N: number(key.N), E: int(number(key.E).Int64())}
	switch {
	case key.Alg == "ES256" && key.Crv == "P-256" && len(signature) == 64:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(&ecdsa.PublicKey{Curve: elliptic.P256(), X: number(key.X), Y: number(key.Y)}, sum[:], r, s)
	case key.Alg == "EdDSA" && key.Crv == "Ed25519" && len(bytes(key.X)) == ed25519.PublicKeySize:
		return ed25519.Verify(bytes(key.X), []byte(text), signature)
	case key.Alg == "RS256":
		return rsa.VerifyPKCS1v15(modulus, crypto.SHA256, sum[:], signature) == nil
	case key.Alg == "PS256":
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(modulus, crypto.SHA256, sum[:], signature, options) == nil
	}
	return false
}

// discover fetches the issuer's keys.
func discover(issuer string) (map[string]jwk, error) {
	var metadata struct {
		Issuer  string
		JwksURI string `json:"jwks_uri"`
	}
	var set struct{ Keys []jwk }
	if err := fetch(issuer+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return nil, err
	}
	if metadata.Issuer != issuer {
		return nil, fmt.Errorf("asked %s, but the metadata is that of %s", issuer, metadata.Issuer)
	}
	if err := fetch(metadata.JwksURI, &set); err != nil {
		return nil, err
	}
	keys := map[string]jwk{}
	for _, key := range set.Keys {
		keys[key.Kid] = key
	}
	return keys, nil
}

func fetch(url string, into any) error {
	reply, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, reply.Status)
	}
	return json.NewDecoder(http.MaxBytesReader(nil, reply.Body, 1<<20)).Decode(into)
}

func decode(part string, into any) error { return json.Unmarshal(bytes(part), into) }

// bytes reads base64url, or nothing.
func bytes(part string) []byte {
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	return decoded
}

func has(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

func main() {
	v := verifier{issuer: os.Getenv("ISSUER"), audience: os.Getenv("AUDIENCE"), product: os.Getenv("PRODUCT")}
	v.allowNeverExpiring = os.Getenv("ALLOW_NEVER_EXPIRING") == "1"
	if v.product == "" {
		v.product = "gst"
	}
	var err error
	var c *claims
	if v.keys, err = discover(v.issuer); err == nil {
		c, err = v.verify(os.Getenv("TOKEN"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Printf("client %s of workspace %s, products: %s\n", c.ClientID, c.WorkspaceID, strings.Join(c.Products, " "))
}
