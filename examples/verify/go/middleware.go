package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

type claimsKey struct{}

// Middleware passes on requests whose token includes the product; others get 401, 403 or 503.
func (v *Verifier) Middleware(product string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		claims, err := v.fromHeader(request.Header.Get("Authorization"), product)
		var refusal *Refused
		if errors.As(err, &refusal) {
			for name, values := range refusal.Header {
				reply.Header()[name] = values
			}
			http.Error(reply, refusal.Error(), refusal.Status)
			return
		}
		if err != nil {
			// Verify returns no other errors; if it ever does, the request must not pass.
			http.Error(reply, "the token could not be checked", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(reply, request.WithContext(context.WithValue(request.Context(), claimsKey{}, claims)))
	})
}

// From returns the claims of a request that Middleware passed on.
func From(request *http.Request) *Claims {
	claims, _ := request.Context().Value(claimsKey{}).(*Claims)
	return claims
}

func (v *Verifier) fromHeader(authorization, product string) (*Claims, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		challenge := http.Header{"Www-Authenticate": {"Bearer"}}
		return nil, &Refused{http.StatusUnauthorized, challenge, "send Authorization: Bearer and an access token"}
	}
	return v.Verify(token, product)
}
