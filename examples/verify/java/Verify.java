// Verifies Mintmark access tokens with nothing but a JDK (17.0.3 or newer: older ones accept forged ES256 signatures):
//
//   ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… java Verify.java
//
// The token must include PRODUCT (default gst). ALLOW_NEVER_EXPIRING=1 accepts tokens that never expire. CHECK_STATUS=0 does
// not read status lists: a revoked token is then accepted until its `exp`. A service creates one `Verify` per process: see
// ../frameworks.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.*;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.*;
import java.security.*;
import java.security.spec.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.zip.InflaterInputStream;

/** Verifies tokens of one issuer for one audience. Create one per process: it caches keys and status lists. */
public final class Verify {
    /** The token is not valid (401), does not include the product (403), or cannot be checked (503). */
    public static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        public final int status;
        /** A header of the reply to the caller. */
        public final String header, value;

        Refused(int status, String header, String value, String reason) {
            super(reason);
            this.status = status;
            this.header = header;
            this.value = value;
        }
    }

    static Refused refused(String reason) {
        return new Refused(401, "WWW-Authenticate", "Bearer error=\"invalid_token\"", reason);
    }

    static Refused unavailable(String reason) {
        return new Refused(503, "Retry-After", "5", reason);
    }

    static void require(boolean holds, String otherwise) throws Refused {
        if (!holds) throw refused(otherwise);
    }

    static String reason(Exception error) {
        return Objects.requireNonNullElse(error.getMessage(), error.toString());
    }

    private record Keys(Map<String, Map<?, ?>> byKid, Instant fetched) {}

    private record StatusList(byte[] bits, Instant keptUntil) {}

    private record Jwt(Map<?, ?> header, Map<?, ?> claims) {}

    private final String issuer, audience;
    private final boolean allowNeverExpiring, checkStatus;
    private final Clock clock;
    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<String, StatusList> lists = new ConcurrentHashMap<>();
    private volatile Keys keys = new Keys(Map.of(), Instant.EPOCH);
    private Refused failure;
    private Instant failedAt;

    public Verify(String issuer, String audience, boolean allowNeverExpiring, boolean checkStatus) {
        this(issuer, audience, allowNeverExpiring, checkStatus, Clock.systemUTC());
    }

    Verify(String issuer, String audience, boolean allowNeverExpiring, boolean checkStatus, Clock clock) {
        this.clock = clock;
        this.issuer = Objects.requireNonNull(issuer, "the issuer is missing");
        this.audience = Objects.requireNonNull(audience, "the audience is missing");
        this.allowNeverExpiring = allowNeverExpiring;
        this.checkStatus = checkStatus;
    }

    /** The claims of a token that is valid and includes the product. */
    public Map<?, ?> verify(String token, String product) throws Refused {
        Map<?, ?> claims = valid(token);
        if (!list(claims.get("products")).contains(product)) {
            throw new Refused(403, "WWW-Authenticate", "Bearer error=\"insufficient_scope\"", "it does not include " + product);
        }
        return claims;
    }

    private Map<?, ?> valid(String token) throws Refused {
        try {
            Jwt jwt = decode(token);
            require(issuer.equals(jwt.claims.get("iss")), "it was issued by another issuer");
            require(list(jwt.claims.get("aud")).contains(audience), "it is for another audience");
            checkKind(jwt.header, jwt.claims, clock.instant().getEpochSecond());
            require(!checkStatus || status(jwt.claims) == 0, "it was revoked or suspended");
            return jwt.claims;
        } catch (GeneralSecurityException | RuntimeException error) { // The token is malformed.
            throw refused(reason(error));
        }
    }

    /** The header and the claims of a JWT that was signed by a key of the issuer. */
    private Jwt decode(String token) throws Refused, GeneralSecurityException {
        String[] parts = token.split("\\.", -1);
        require(parts.length == 3, "it does not have three parts");
        Map<?, ?> header = Json.read(decoded(parts[0]));
        Map<?, ?> key = key(String.valueOf(header.get("kid")));
        byte[] text = (parts[0] + "." + parts[1]).getBytes(UTF_8);
        require(key.get("alg").equals(header.get("alg")) && !header.containsKey("crit")
            && hasSigned(key, text, decoded(parts[2])), "it was not signed by a key of the issuer");
        return new Jwt(header, Json.read(decoded(parts[1])));
    }

    void checkKind(Map<?, ?> header, Map<?, ?> claims, double now) throws Refused {
        boolean never = Boolean.TRUE.equals(claims.get("never_expires")), endless = !claims.containsKey("exp");
        require(never ? allowNeverExpiring : !endless, "it never expires");
        require(endless || now < (double) claims.get("exp") + 5, "it has expired");
        require(!claims.containsKey("nbf") || (double) claims.get("nbf") <= now + 5, "it is not valid yet");
        require(typ(header).equals(endless ? "jwt" : "at+jwt"), "it is not an access token");
        require(!claims.containsKey("cnf"), "it needs a proof that is not checked here");
    }

    static String typ(Map<?, ?> header) {
        return String.valueOf(header.get("typ")).toLowerCase(Locale.ROOT).replaceFirst("^application/", "");
    }

    /** 0: valid, 1: revoked, 2: suspended. */
    private int status(Map<?, ?> claims) throws Refused {
        Map<?, ?> place = claims.get("status") instanceof Map<?, ?> status ? (Map<?, ?>) status.get("status_list") : Map.of();
        String uri = String.valueOf(place.get("uri"));
        require(uri.startsWith(issuer + "/oauth2/status-lists/"), "its status list is not one of the issuer's");
        StatusList list = lists.get(uri);
        if (list == null || !clock.instant().isBefore(list.keptUntil)) lists.put(uri, list = fetchList(uri));
        int idx = (int) (double) place.get("idx");
        require(idx >= 0 && idx / 4 < list.bits.length, "its index is beyond the end of its status list");
        return list.bits[idx / 4] >> (idx % 4 * 2) & 3;
    }

    /**
     * A list is kept for its `ttl`, counted from the start of the fetch, but not past its `exp`. One that cannot be used says
     * nothing about the token, so the answer is 503.
     */
    private StatusList fetchList(String uri) throws Refused {
        Instant started = clock.instant();
        byte[] text = fetch(uri, "application/statuslist+jwt");
        try {
            Jwt jwt = decode(new String(text, UTF_8));
            require(typ(jwt.header).equals("statuslist+jwt"), "its typ is " + jwt.header.get("typ"));
            require(uri.equals(jwt.claims.get("sub")), "it is the list of " + jwt.claims.get("sub"));
            Instant expires = Instant.ofEpochSecond((long) (double) jwt.claims.get("exp"));
            Instant keptUntil = started.plusSeconds((long) (double) jwt.claims.get("ttl"));
            if (expires.isBefore(keptUntil)) keptUntil = expires;
            require(clock.instant().isBefore(keptUntil), "it has expired");
            byte[] packed = decoded((String) ((Map<?, ?>) jwt.claims.get("status_list")).get("lst"));
            try (InputStream bits = new InflaterInputStream(new ByteArrayInputStream(packed))) {
                return new StatusList(bits.readNBytes(1 << 24), keptUntil);
            }
        } catch (Refused | GeneralSecurityException | IOException | RuntimeException error) {
            throw unavailable("its status list cannot be used: " + reason(error));
        }
    }

    /** The issuer's keys are kept for five minutes. For an unknown `kid` they are fetched again, at most once in 30 seconds. */
    private Map<?, ?> key(String kid) throws Refused {
        Keys known = keys;
        Duration age = Duration.between(known.fetched, clock.instant());
        if (age.toSeconds() > 300 || !known.byKid.containsKey(kid) && age.toSeconds() > 30) {
            known = fetchedAfter(known.fetched);
        }
        require(known.byKid.containsKey(kid), "it was not signed by a key of the issuer: its kid is unknown");
        return known.byKid.get(kid);
    }

    /**
     * Fetches the keys, unless another request has done so since `before`, or has failed to within the last second. One request
     * fetches at a time. Requests whose key is cached do not wait for it, unless the keys are too old.
     */
    private synchronized Keys fetchedAfter(Instant before) throws Refused {
        if (!keys.fetched.equals(before)) return keys;
        if (failure != null && Duration.between(failedAt, clock.instant()).toMillis() < 1000) throw failure;
        try {
            keys = new Keys(discover(), clock.instant());
            failure = null;
            return keys;
        } catch (Refused error) {
            failure = error;
            failedAt = clock.instant();
            throw error;
        }
    }

    private Map<String, Map<?, ?>> discover() throws Refused {
        Map<?, ?> metadata = json(issuer + "/.well-known/oauth-authorization-server");
        if (!issuer.equals(metadata.get("issuer"))) {
            throw unavailable("asked " + issuer + ", but the metadata is that of " + metadata.get("issuer"));
        }
        String uri = String.valueOf(metadata.get("jwks_uri"));
        Map<String, Map<?, ?>> found = new HashMap<>();
        try {
            for (Object key : (List<?>) Objects.requireNonNull(json(uri).get("keys"), "it has no keys")) {
                found.put((String) ((Map<?, ?>) key).get("kid"), (Map<?, ?>) key);
            }
        } catch (RuntimeException error) {
            throw unavailable(uri + ": " + reason(error));
        }
        return found;
    }

    private Map<?, ?> json(String url) throws Refused {
        byte[] text = fetch(url, "application/json");
        try {
            return Json.read(text);
        } catch (IllegalArgumentException error) {
            throw unavailable(url + ": " + reason(error));
        }
    }

    private byte[] fetch(String url, String mediaType) throws Refused {
        HttpResponse<byte[]> reply;
        try {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Accept", mediaType);
            reply = http.send(request.timeout(Duration.ofSeconds(5)).build(), HttpResponse.BodyHandlers.ofByteArray());
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt(); // The caller still has to see the interrupt.
            throw unavailable(url + ": " + reason(error));
        } catch (IOException | IllegalArgumentException error) {
            throw unavailable(url + ": " + reason(error));
        }
        if (reply.statusCode() != 200) throw unavailable(url + ": " + reply.statusCode());
        return reply.body();
    }

    /** The token of an `Authorization` header. */
    public static String bearer(String authorization) throws Refused {
        Matcher token = Pattern.compile("(?i)bearer +(\\S+)").matcher(Objects.requireNonNullElse(authorization, ""));
        if (token.matches()) return token.group(1);
        throw new Refused(401, "WWW-Authenticate", "Bearer", "send Authorization: Bearer and an access token");
    }

    /** Whether the key signed the text, with the one algorithm that the key set names for it. */
    static boolean hasSigned(Map<?, ?> key, byte[] text, byte[] signature) throws GeneralSecurityException {
        Signature check = Signature.getInstance(switch ((String) key.get("alg")) {
            case "ES256" -> "SHA256withECDSAinP1363Format";
            case "EdDSA" -> "Ed25519";
            case "RS256" -> "SHA256withRSA";
            case "PS256" -> "RSASSA-PSS";
            default -> throw new SignatureException("its algorithm is not supported");
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
            System.arraycopy(decoded((String) key.get("x")), 0, whole, 12, 32);
            return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(whole));
        }
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        ECPoint point = new ECPoint(number(key, "x"), number(key, "y"));
        return KeyFactory.getInstance("EC")
            .generatePublic(new ECPublicKeySpec(point, curve.getParameterSpec(ECParameterSpec.class)));
    }

    static BigInteger number(Map<?, ?> key, String member) {
        return new BigInteger(1, decoded((String) key.get(member)));
    }

    static byte[] decoded(String part) {
        return Base64.getUrlDecoder().decode(part);
    }

    /** `aud` is a string when there is one audience, an array otherwise. */
    static List<?> list(Object oneOrMany) {
        return oneOrMany instanceof List<?> many ? many : Collections.singletonList(oneOrMany);
    }

    private static final Map<String, String> SETTINGS = Map.of(
        "ISSUER", "the address of Mintmark, such as https://tokens.example.com",
        "AUDIENCE", "the audience of your product, such as https://api.example.com",
        "TOKEN", "the access token to verify");

    private static String mustBeSet(String name) {
        String value = System.getenv(name);
        if (value != null && (name.equals("TOKEN") || !value.isEmpty())) return value;
        System.err.println(name + " is not set: it is " + SETTINGS.get(name));
        System.exit(1);
        return null;
    }

    /** A verifier with the settings ISSUER, AUDIENCE, ALLOW_NEVER_EXPIRING and CHECK_STATUS. */
    public static Verify fromEnvironment() {
        return new Verify(mustBeSet("ISSUER"), mustBeSet("AUDIENCE"), "1".equals(System.getenv("ALLOW_NEVER_EXPIRING")),
            !"0".equals(System.getenv("CHECK_STATUS")));
    }

    public static void main(String[] arguments) {
        Verify verifier = fromEnvironment();
        try {
            Map<?, ?> claims = verifier.verify(mustBeSet("TOKEN"), System.getenv().getOrDefault("PRODUCT", "gst"));
            System.out.printf("client %s of workspace %s, products: %s%n", claims.get("client_id"),
                claims.get("workspace_id"), String.join(" ", list(claims.get("products")).toArray(String[]::new)));
        } catch (Refused refusal) {
            System.err.println("refused: " + refusal.getMessage() + " (answer " + refusal.status + ")");
            System.exit(1);
        }
    }
}

/** Reads a JSON object as Mintmark writes it (strings without escapes), since the JDK has no JSON reader. */
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
                require(!object.containsKey(name)); // Otherwise another parser could read another value.
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
