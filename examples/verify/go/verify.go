// Package verify verifies Mintmark access tokens with nothing but Go's standard library (1.19 or newer). Copy this folder
// into your module, create one Verifier per process, and wrap your handlers with Middleware.
package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Refused says why a token is not accepted. Status and Header are those of the reply to the caller: 401 for a token that is
// not valid, 403 for one without the product, 503 if it cannot be checked.
type Refused struct {
	Status int
	Header http.Header
	reason string
}

func (r *Refused) Error() string { return r.reason }

func refused(format string, parts ...any) error {
	challenge := http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
	return &Refused{http.StatusUnauthorized, challenge, fmt.Sprintf(format, parts...)}
}

func unavailable(format string, parts ...any) error {
	return &Refused{http.StatusServiceUnavailable, http.Header{"Retry-After": {"5"}}, fmt.Sprintf(format, parts...)}
}

// Claims of an access token.
type Claims struct {
	Issuer       string    `json:"iss"`
	Audience     OneOrMany `json:"aud"`
	Expires      *int64    `json:"exp"`
	NotBefore    *int64    `json:"nbf"`
	ID           string    `json:"jti"`
	ClientID     string    `json:"client_id"`
	WorkspaceID  string    `json:"workspace_id"`
	Products     []string
	NeverExpires bool `json:"never_expires"`
	Status       struct {
		List struct {
			Index *int `json:"idx"`
			URI   string
		} `json:"status_list"`
	}
	Confirmation json.RawMessage `json:"cnf"`
}

// OneOrMany reads an `aud`: a string when there is one audience, an array otherwise.
type OneOrMany []string

// UnmarshalJSON reads either form.
func (many *OneOrMany) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*many = []string{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(many))
}

// Verifier verifies tokens of one issuer for one audience. Create one per process: it caches keys and status lists.
type Verifier struct {
	issuer, audience string
	// AllowNeverExpiring accepts tokens that never expire.
	AllowNeverExpiring bool
	// IgnoreStatus turns the status lists off: a revoked token is then accepted until its `exp`.
	IgnoreStatus bool

	// fetching is held while keys are fetched, lock only while keys and lists are read or replaced.
	fetching, lock sync.Mutex

	keys  keySet
	lists map[string]statusList
}

// New makes a verifier.
func New(issuer, audience string) (*Verifier, error) {
	if issuer == "" || audience == "" {
		return nil, errors.New("the issuer or the audience is missing")
	}
	return &Verifier{issuer: issuer, audience: audience, lists: map[string]statusList{}}, nil
}

// Verify returns the claims of a token that is valid and includes the product; the error is a *Refused.
func (v *Verifier) Verify(token, product string) (*Claims, error) {
	var c Claims
	header, err := v.decode(token, &c)
	if err != nil {
		return nil, err
	}
	if c.Issuer != v.issuer || !has(c.Audience, v.audience) {
		return nil, refused("it was issued by another issuer, or for another audience")
	}
	if err := v.checkKind(header, c, now().Unix()); err != nil {
		return nil, err
	}
	if !v.IgnoreStatus {
		if err := v.checkStatus(c); err != nil {
			return nil, err
		}
	}
	if !has(c.Products, product) {
		challenge := http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`}}
		return nil, &Refused{http.StatusForbidden, challenge, "it does not include " + product}
	}
	return &c, nil
}

func (v *Verifier) checkKind(h header, c Claims, at int64) error {
	endless, typ := c.Expires == nil, "at+jwt"
	if endless {
		typ = "jwt"
	}
	switch {
	case c.NeverExpires && !v.AllowNeverExpiring || endless && !c.NeverExpires:
		return refused("it never expires")
	case !endless && at >= *c.Expires+5 || c.NotBefore != nil && *c.NotBefore > at+5:
		return refused("it has expired, or is not valid yet")
	case h.typ() != typ:
		return refused("it is not an access token")
	case c.Confirmation != nil:
		return refused("it needs a proof that is not checked here")
	}
	return nil
}

func (h header) typ() string { return strings.TrimPrefix(strings.ToLower(h.Typ), "application/") }

func has(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}
