// Creates an API client and gets a token, with the client that openapi-generator generates for Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	mintmark "mintmark.example/client"
)

func main() {
	settings := mintmark.NewConfiguration()
	settings.Servers = mintmark.ServerConfigurations{{URL: os.Getenv("MINTMARK_URL")}}
	api := mintmark.NewAPIClient(settings)
	ctx := context.Background()

	admin, _, err := api.TokensAPI.RequestToken(ctx).GrantType("client_credentials").Scope("mintmark:manage").
		ClientId(os.Getenv("MINTMARK_CLIENT_ID")).ClientSecret(os.Getenv("MINTMARK_CLIENT_SECRET")).Execute()
	if err != nil {
		log.Fatal(err)
	}

	managing := context.WithValue(ctx, mintmark.ContextAccessToken, admin.AccessToken)
	wanted := mintmark.NewApiClientCreate("Made in Go")
	wanted.SetProducts([]string{"gst"})
	expiry := mintmark.NewTokenExpiryOrDefault("after")
	expiry.SetSeconds(900)
	wanted.SetTokenExpiry(*expiry)
	made, _, err := api.APIClientsAPI.CreateApiClient(managing, "acme-in").ApiClientCreate(*wanted).Execute()
	if err != nil {
		log.Fatal(err)
	}

	token, _, err := api.TokensAPI.RequestToken(ctx).GrantType("client_credentials").
		ClientId(made.ClientId).ClientSecret(made.ClientSecret).Execute()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made.ClientId, token.GetExpiresIn(), token.AccessToken)

	wanted.SetLabel("")
	_, reply, err := api.APIClientsAPI.CreateApiClient(managing, "acme-in").ApiClientCreate(*wanted).Execute()
	var refusal *mintmark.GenericOpenAPIError
	if errors.As(err, &refusal) {
		fmt.Println(reply.StatusCode, string(refusal.Body()))
	}
}
