import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

class Verify {
    public static void main(String[] args) throws Exception {
        String query = "?product=" + System.getenv("PRODUCT");
        URI address = URI.create("https://tokens.example.com/oauth2/verify" + query);
        HttpRequest request = HttpRequest.newBuilder(address)
            .header("Authorization", "Bearer " + System.getenv("TOKEN"))
            .build();
        var reply = HttpClient.newHttpClient().send(request, BodyHandlers.discarding());
        if (reply.statusCode() != 200) {
            System.err.println("refused: " + reply.headers().firstValue("WWW-Authenticate").orElse("try again later"));
            System.exit(1);
        }
        System.out.println("valid: client " + reply.headers().firstValue("X-Mintmark-Client-Id").orElseThrow());
    }
}
