// Creates an API client and gets a token, with the client that openapi-generator generates for Java (`--library native`).
import java.util.List;
import java.util.Set;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.*;
import org.openapitools.client.model.*;

class Client {
    public static void main(String[] arguments) throws ApiException {
        ApiClient api = new ApiClient();
        api.updateBaseUri(System.getenv("MINTMARK_URL"));
        TokensApi tokens = new TokensApi(api);
        TokenResponse admin = tokens.requestToken("client_credentials", "mintmark:manage", List.of(),
            System.getenv("MINTMARK_CLIENT_ID"), System.getenv("MINTMARK_CLIENT_SECRET"));

        api.setRequestInterceptor(request -> request.setHeader("Authorization", "Bearer " + admin.getAccessToken()));
        ApiClientsApi clients = new ApiClientsApi(api);
        ApiClientCreate wanted = new ApiClientCreate().label("Made in Java").products(Set.of("gst"))
            .tokenExpiry(new TokenExpiryOrDefault().mode(TokenExpiryOrDefault.ModeEnum.AFTER).seconds(900));
        ApiClientCreated made = clients.createApiClient("acme-in", wanted, null);

        api.setRequestInterceptor(null);
        TokenResponse token = new TokensApi(api)
            .requestToken("client_credentials", null, List.of(), made.getClientId(), made.getClientSecret());
        System.out.println(made.getClientId() + " " + token.getExpiresIn() + " " + token.getAccessToken());

        api.setRequestInterceptor(request -> request.setHeader("Authorization", "Bearer " + admin.getAccessToken()));
        try {
            new ApiClientsApi(api).createApiClient("acme-in", wanted.label(""), null);
        } catch (ApiException refusal) {
            System.out.println(refusal.getCode() + " " + refusal.getResponseBody());
        }
    }
}
