package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// now is a variable so that tests can set the time.
var now = time.Now

// Keys are cached for keysMaxAge. For an unknown `kid` they are fetched again, at most once in keysMinRefetch. After a fetch that
// failed, the next one is made after keysRetry at the earliest.
const (
	keysMaxAge     = 5 * time.Minute
	keysMinRefetch = 30 * time.Second
	keysRetry      = time.Second
)

type header struct {
	Alg, Kid, Typ string
	Crit          json.RawMessage
}

type jwk struct{ Kid, Alg, Crv, X, Y, N, E string }

type keySet struct {
	byKid   map[string]jwk
	fetched time.Time
	// The last attempt to fetch keys, and why it failed.
	tried time.Time
	err   error
}

// decode reads a JWT, and refuses it unless a key of the issuer signed it, with the algorithm that the key set names for that
// key.
func (v *Verifier) decode(token string, into any) (header, error) {
	var h header
	parts := strings.Split(token, ".")
	if len(parts) != 3 || json.Unmarshal(bytes(parts[0]), &h) != nil || h.Crit != nil {
		return h, refused("it is malformed, or requires an extension (crit)")
	}
	key, err := v.key(h.Kid)
	if err != nil {
		return h, err
	}
	if key.Alg != h.Alg || !key.signed(parts[0]+"."+parts[1], bytes(parts[2])) {
		return h, refused("it was not signed by a key of the issuer")
	}
	if json.Unmarshal(bytes(parts[1]), into) != nil {
		return h, refused("its claims cannot be read")
	}
	return h, nil
}

// key returns the issuer's key with this `kid`.
func (v *Verifier) key(kid string) (jwk, error) {
	keys := v.cachedKeys()
	key, known := keys.byKid[kid]
	if age := now().Sub(keys.fetched); age > keysMaxAge || !known && age > keysMinRefetch {
		if keys = v.fetchedKeys(keys.fetched); keys.err != nil {
			return jwk{}, keys.err
		}
		key, known = keys.byKid[kid]
	}
	if !known {
		return jwk{}, refused("it was not signed by a key of the issuer: its kid is unknown")
	}
	return key, nil
}

func (v *Verifier) cachedKeys() keySet {
	v.lock.Lock()
	defer v.lock.Unlock()
	return v.keys
}

// fetchedKeys fetches the keys, unless another request has fetched newer ones than those of `before`, or has failed to within
// keysRetry. One request fetches at a time. Requests whose key is cached do not wait for it, unless the keys are too old.
func (v *Verifier) fetchedKeys(before time.Time) keySet {
	v.fetching.Lock()
	defer v.fetching.Unlock()
	keys := v.cachedKeys()
	if keys.fetched != before || keys.err != nil && now().Sub(keys.tried) < keysRetry {
		return keys
	}
	byKid, err := discover(v.issuer)
	keys.tried, keys.err = now(), err
	if err == nil {
		keys.byKid, keys.fetched = byKid, keys.tried
	}
	v.lock.Lock()
	defer v.lock.Unlock()
	v.keys = keys
	return keys
}

// discover fetches the issuer's keys.
func discover(issuer string) (map[string]jwk, error) {
	var metadata struct {
		Issuer  string
		JwksURI string `json:"jwks_uri"`
	}
	var set struct{ Keys []jwk }
	if err := fetchJSON(issuer+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return nil, err
	}
	if metadata.Issuer != issuer {
		return nil, unavailable("asked %s, but the metadata is that of %s", issuer, metadata.Issuer)
	}
	if err := fetchJSON(metadata.JwksURI, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, unavailable("%s is not a key set", metadata.JwksURI)
	}
	keys := map[string]jwk{}
	for _, key := range set.Keys {
		keys[key.Kid] = key
	}
	return keys, nil
}

func fetchJSON(url string, into any) error {
	text, err := fetch(url, "application/json")
	if err == nil && json.Unmarshal(text, into) != nil {
		return unavailable("%s is not JSON of the expected form", url)
	}
	return err
}

// fetch gets a document from the issuer.
func fetch(url, mediaType string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, unavailable("%v", err)
	}
	request.Header.Set("Accept", mediaType)
	reply, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return nil, unavailable("%v", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, unavailable("%s: %s", url, reply.Status)
	}
	text, err := io.ReadAll(http.MaxBytesReader(nil, reply.Body, 16<<20))
	if err != nil {
		return nil, unavailable("%s: %v", url, err)
	}
	return text, nil
}

// signed reports whether the key signed the text, with the one algorithm that the key set names for it.
func (key jwk) signed(text string, signature []byte) bool {
	sum := sha256.Sum256([]byte(text))
	number := func(part string) *big.Int { return new(big.Int).SetBytes(bytes(part)) }
	rsaKey := &rsa.PublicKey{N: number(key.N), E: int(number(key.E).Int64())}
	switch {
	case key.Alg == "ES256" && key.Crv == "P-256" && len(signature) == 64:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(&ecdsa.PublicKey{Curve: elliptic.P256(), X: number(key.X), Y: number(key.Y)}, sum[:], r, s)
	case key.Alg == "EdDSA" && key.Crv == "Ed25519" && len(bytes(key.X)) == ed25519.PublicKeySize:
		return ed25519.Verify(bytes(key.X), []byte(text), signature)
	case key.Alg == "RS256":
		return rsa.VerifyPKCS1v15(rsaKey, crypto.SHA256, sum[:], signature) == nil
	case key.Alg == "PS256":
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(rsaKey, crypto.SHA256, sum[:], signature, options) == nil
	}
	return false
}

// bytes decodes base64url; nil if it is malformed.
func bytes(part string) []byte {
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	return decoded
}
