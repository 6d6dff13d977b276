import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Base64;
import java.util.regex.Pattern;

class Token {
    public static void main(String[] args) throws Exception {
        String credentials = System.getenv("CLIENT_ID") + ":" + System.getenv("CLIENT_SECRET");
        HttpRequest request = HttpRequest.newBuilder(URI.create("https://tokens.example.com/oauth2/token"))
            .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("grant_type=client_credentials"))
            .build();
        var reply = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        var token = Pattern.compile("\"access_token\":\"([^\"]+)\"").matcher(reply.body());
        if (reply.statusCode() != 200 || !token.find()) {
            System.err.println(reply.statusCode() + ": " + reply.body());
            System.exit(1);
        }
        System.out.println(token.group(1));
    }
}
