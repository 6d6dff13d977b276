// Verifies a Mintmark access token with nothing but a JDK (17.0.3 or newer: older ones accept forged ES256 signatures):
//
//   ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… java Verify.java
//
// PRODUCT (default gst) is what the token has to open. ALLOW_NEVER_EXPIRING=1 accepts tokens that have no end.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.net.URI;
import java.net.http.*;
import java.security.*;
import java.security.spec.*;
import java.time.*;
import java.util.*;
import java.util.regex.*;

/** `keys` are the issuer's, from discover(); in a service fetch them again every five minutes. */
public record Verify(String issuer, String audience, String product, boolean allowNeverExpiring, List<Map<?, ?>> keys) {
    Map<?, ?> verify(String token) throws GeneralSecurityException {
        String[] parts = token.split("\\.", -1);
        require(parts.length == 3, "it has not three parts");
        Map<?, ?> header = Json.read(decode(parts[0]));
        Map<?, ?> key = Map.of();
        for (Map<?, ?> each : keys) if (each.get("kid").equals(header.get("kid"))) key = each;
        byte[] text = (parts[0] + "." + parts[1]).getBytes(UTF_8);
        require(key.containsKey("alg") && key.get("alg").equals(header.get("alg")) && !header.containsKey("crit")
            && hasSigned(key, text, decode(parts[2])), "no key of the issuer has signed it");

        Map<?, ?> claims = Json.read(decode(parts[1]));
        require(issuer.equals(claims.get("iss")), "it is of another issuer");
        require(list(claims.get("aud")).contains(audience), "it is for another audience");
        checkKind(header, claims, Instant.now().getEpochSecond());
        require(list(claims.get("products")).contains(product), "it does not open " + product);
        return claims;
    }

    void checkKind(Map<?, ?> header, Map<?, ?> claims, double now) throws GeneralSecurityException {
        boolean never = Boolean.TRUE.equals(claims.get("never_expires")), endless = !claims.containsKey("exp");
        require(never ? allowNeverExpiring : !endless, "it never expires");
        require(endless || now < (double) claims.get("exp") + 5, "it has expired");
        require(!claims.containsKey("nbf") || (double) claims.get("nbf") <= now + 5, "it is not valid yet");
        String typ = String.valueOf(header.get("typ")).toLowerCase(Locale.ROOT).replaceFirst("^application/", "");
        require(typ.equals(endless ? "jwt" : "at+jwt"), "it is no access token");
        require(!claims.containsKey("cnf"), "it needs a proof that is not checked here");
    }

    /** Whether the key has signed the text, by the one algorithm that the key set names for it. */
    static boolean hasSigned(Map<?, ?> key, byte[] text, byte[] signature) throws GeneralSecurityException {
        Signature check = Signature.getInstance(switch ((String) key.get("alg")) {
            case "ES256" -> "SHA256withECDSAinP1363Format";
            case "EdDSA" -> "Ed25519";
            case "RS256" -> "SHA256withRSA";
            case "PS256" -> "RSASSA-PSS";
            default -> throw new SignatureException("its algorithm is not known here");
        });
        if (key.get("alg").equals("PS256")) {
            check.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
        }
        check.initVerify(publicKey(key));
        check.update(text);
        return check.verify(signature);
    }

    static PublicKey publicKey(Map<?, ?> key) throws GeneralSecurityException {
        if (key.get("kty").equals("RSA")) {
            RSAPublicKeySpec rsa = new RSAPublicKeySpec(number(key, "n"), number(key, "e"));
            return KeyFactory.getInstance("RSA").generatePublic(rsa);
        }
        if (key.get("kty").equals("OKP")) { // An Ed25519 key in its X.509 form is this prefix and 32 bytes.
            byte[] whole = Arrays.copyOf(HexFormat.of().parseHex("302a300506032b6570032100"), 44);
            System.arraycopy(decode((String) key.get("x")), 0, whole, 12, 32);
            return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(whole));
        }
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        ECPoint point = new ECPoint(number(key, "x"), number(key, "y"));
        return KeyFactory.getInstance("EC")
            .generatePublic(new ECPublicKeySpec(point, curve.getParameterSpec(ECParameterSpec.class)));
    }

    static BigInteger number(Map<?, ?> key, String member) {
        return new BigInteger(1, decode((String) key.get(member)));
    }

    static byte[] decode(String part) {
        return Base64.getUrlDecoder().decode(part);
    }

    /** `aud` is a string when there is one, an array otherwise. */
    static List<?> list(Object oneOrMany) {
        return oneOrMany instanceof List<?> many ? many : Collections.singletonList(oneOrMany);
    }

    static void require(boolean holds, String otherwise) throws SignatureException {
        if (!holds) throw new SignatureException(otherwise);
    }

    @SuppressWarnings("unchecked")
    static List<Map<?, ?>> discover(String issuer) throws Exception {
        Map<?, ?> metadata = fetch(issuer + "/.well-known/oauth-authorization-server");
        require(issuer.equals(metadata.get("issuer")), "the metadata is that of " + metadata.get("issuer"));
        return (List<Map<?, ?>>) fetch((String) metadata.get("jwks_uri")).get("keys");
    }

    static Map<?, ?> fetch(String url) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(5)).build();
        HttpResponse<byte[]> reply = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofByteArray());
        require(reply.statusCode() == 200, url + ": " + reply.statusCode());
        return Json.read(reply.body());
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> env = System.getenv();
        try {
            Verify verifier = new Verify(env.get("ISSUER"), env.get("AUDIENCE"), env.getOrDefault("PRODUCT", "gst"),
                "1".equals(env.get("ALLOW_NEVER_EXPIRING")), discover(env.get("ISSUER")));
            Map<?, ?> claims = verifier.verify(env.get("TOKEN"));
            System.out.printf("client %s of workspace %s, products: %s%n", claims.get("client_id"),
                claims.get("workspace_id"), String.join(" ", list(claims.get("products")).toArray(String[]::new)));
        } catch (GeneralSecurityException | java.io.IOException | RuntimeException refusal) {
            System.err.println("refused: " + Objects.requireNonNullElse(refusal.getMessage(), refusal.toString()));
            System.exit(1);
        }
    }
}

/** Reads a JSON object as Mintmark writes it (strings without escapes), since the JDK cannot. */
final class Json {
    private static final Pattern PART = Pattern.compile("\\G\\s*(\"[^\"\\\\]*+\"|[{}\\[\\]:,]|[-+.\\w]++)");
    private final Matcher parts;

    private Json(String text) {
        parts = PART.matcher(text);
    }

    static Map<?, ?> read(byte[] bytes) {
        String text = new String(bytes, UTF_8);
        Json json = new Json(text);
        Object value = json.value(json.next(), 0);
        json.require(value instanceof Map && text.substring(json.parts.end()).isBlank());
        return (Map<?, ?>) value;
    }

    private Object value(String part, int depth) {
        require(depth < 8);
        if (part.equals("[")) {
            List<Object> array = new ArrayList<>();
            while (!(part = next()).equals("]")) if (!part.equals(",")) array.add(value(part, depth + 1));
            return array;
        }
        if (part.equals("{")) {
            Map<Object, Object> object = new LinkedHashMap<>();
            while (!(part = next()).equals("}")) {
                if (part.equals(",")) continue;
                require(part.startsWith("\"") && next().equals(":"));
                Object name = value(part, depth + 1);
                require(!object.containsKey(name)); // Or the token means one thing here and another elsewhere.
                object.put(name, value(next(), depth + 1));
            }
            return object;
        }
        if (part.startsWith("\"")) return part.substring(1, part.length() - 1);
        if (part.equals("null")) return null;
        if (part.matches("true|false")) return part.equals("true");
        return Double.valueOf(part);
    }

    private String next() {
        require(parts.find());
        return parts.group(1);
    }

    private void require(boolean holds) {
        if (!holds) throw new IllegalArgumentException("it is not JSON as Mintmark writes it");
    }
}
