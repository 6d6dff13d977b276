// Verifies a Mintmark access token:
//
//	ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… go run ./cmd/verify
//
// The token must include PRODUCT (default gst). ALLOW_NEVER_EXPIRING=1 accepts tokens that never expire. CHECK_STATUS=0 does
// not read status lists. With LISTEN=127.0.0.1:8000 it serves instead of reading TOKEN, and verifies the token of each
// request.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"mintmark.example/verify"
)

var settings = map[string]string{
	"ISSUER":   "the address of Mintmark, such as https://tokens.example.com",
	"AUDIENCE": "the audience of your product, such as https://api.example.com",
	"TOKEN":    "the access token to verify",
}

func main() {
	v, err := verify.New(mustBeSet("ISSUER"), mustBeSet("AUDIENCE"))
	exitIf(err)
	v.AllowNeverExpiring = os.Getenv("ALLOW_NEVER_EXPIRING") == "1"
	v.IgnoreStatus = os.Getenv("CHECK_STATUS") == "0"
	product := os.Getenv("PRODUCT")
	if product == "" {
		product = "gst"
	}
	if listen := os.Getenv("LISTEN"); listen != "" {
		exitIf(http.ListenAndServe(listen, v.Middleware(product, http.HandlerFunc(filings))))
	}
	claims, err := v.Verify(mustBeSet("TOKEN"), product)
	var refusal *verify.Refused
	if errors.As(err, &refusal) {
		err = fmt.Errorf("refused: %w (answer %d)", err, refusal.Status)
	}
	exitIf(err)
	fmt.Printf("client %s of workspace %s, products: %s\n", claims.ClientID, claims.WorkspaceID, strings.Join(claims.Products, " "))
}

func filings(reply http.ResponseWriter, request *http.Request) {
	reply.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(reply, "{\"client_id\": %q}\n", verify.From(request).ClientID)
}

func mustBeSet(name string) string {
	value, set := os.LookupEnv(name)
	if !set || value == "" && name != "TOKEN" {
		exitIf(fmt.Errorf("%s is not set: it is %s", name, settings[name]))
	}
	return value
}

func exitIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
