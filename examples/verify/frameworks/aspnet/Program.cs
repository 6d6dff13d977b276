// An ASP.NET Core 8 service whose callers need the product gst:
//
//   dotnet add package Microsoft.AspNetCore.Authentication.JwtBearer
//   Mintmark__Issuer=https://tokens.example.com Mintmark__Audience=https://api.example.com dotnet run
//
// The tests do not run this file. Microsoft's library does not verify EdDSA: choose ES256 for clients that call such services.
using System.IO.Compression;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

var builder = WebApplication.CreateBuilder(args);
string Setting(string name, string what) =>
    builder.Configuration[name] ?? throw new InvalidOperationException($"{name} is not set: it is {what}");
var issuer = Setting("Mintmark:Issuer", "the address of Mintmark, such as https://tokens.example.com");
var audience = Setting("Mintmark:Audience", "the audience of your product, such as https://api.example.com");
string[] algorithms = ["ES256", "RS256", "PS256"];
var lists = new StatusLists(issuer, algorithms);

builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
{
    options.Authority = issuer; // The keys are fetched again from time to time, and for an unknown `kid`.
    options.AutomaticRefreshInterval = TimeSpan.FromMinutes(5);
    options.MapInboundClaims = false;
    options.TokenValidationParameters = new TokenValidationParameters
    {
        ValidIssuer = issuer,
        ValidAudience = audience,
        ValidTypes = ["at+jwt", "application/at+jwt"],
        ValidAlgorithms = algorithms,
        RequireExpirationTime = true,
        ClockSkew = TimeSpan.FromSeconds(5),
    };
    options.Events = new JwtBearerEvents
    {
        OnTokenValidated = async context =>
        {
            var token = (JsonWebToken)context.SecurityToken;
            if (token.TryGetPayloadValue("never_expires", out bool never) && never) context.Fail("it never expires");
            else if (token.TryGetPayloadValue("cnf", out object _)) context.Fail("it needs a proof that is not checked here");
            else if (await lists.StatusAsync(token, options, context.HttpContext.RequestAborted) != 0) context.Fail("it was revoked or suspended");
        },
        // Hands every failure to OnChallenge. Otherwise an exception in OnTokenValidated would be answered with 500.
        OnAuthenticationFailed = async context =>
        {
            var failure = context.Exception;
            if (failure is SecurityTokenSignatureKeyNotFoundException)
            {
                // The library also says this if it could not fetch the keys.
                try { await options.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted); }
                catch (Exception error) { failure = new Unavailable("the keys cannot be fetched", error); }
            }
            context.Fail(failure);
        },
        OnChallenge = context =>
        {
            // 401 would make the caller discard a good token.
            if (context.AuthenticateFailure is not Unavailable) return Task.CompletedTask;
            context.HandleResponse();
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = "5";
            return Task.CompletedTask;
        },
    };
});
// A token without the product gets 403. Several `products` become one claim each.
builder.Services.AddAuthorizationBuilder().AddPolicy("gst", policy => policy.RequireClaim("products", "gst"));

var app = builder.Build();
app.MapGet("/filings", (HttpContext context) => new { client_id = context.User.FindFirst("client_id")!.Value }).RequireAuthorization("gst");
app.Run();

/// <summary>The token cannot be checked: the keys or its status list cannot be fetched or used.</summary>
class Unavailable(string message, Exception cause) : Exception(message, cause);

/// <summary>The status lists of one issuer, each kept for its `ttl`, but not past its `exp`.</summary>
class StatusLists(string issuer, string[] algorithms)
{
    readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(5) };
    readonly System.Collections.Concurrent.ConcurrentDictionary<string, (DateTime KeptUntil, byte[] Bits)> lists = new();

    /// <summary>0: valid, 1: revoked, 2: suspended.</summary>
    public async Task<int> StatusAsync(JsonWebToken token, JwtBearerOptions options, CancellationToken cancel)
    {
        var place = token.GetPayloadValue<System.Text.Json.JsonElement>("status").GetProperty("status_list");
        var (uri, idx) = (place.GetProperty("uri").GetString()!, place.GetProperty("idx").GetInt32());
        if (!uri.StartsWith(issuer + "/oauth2/status-lists/", StringComparison.Ordinal)) return 1;
        if (!lists.TryGetValue(uri, out var list) || DateTime.UtcNow >= list.KeptUntil)
            lists[uri] = list = await FetchAsync(uri, options, cancel);
        return idx >= 0 && idx / 4 < list.Bits.Length ? list.Bits[idx / 4] >> (idx % 4 * 2) & 3 : 1;
    }

    async Task<(DateTime, byte[])> FetchAsync(string uri, JwtBearerOptions options, CancellationToken cancel)
    {
        try
        {
            return await FetchUsableAsync(uri, options, cancel);
        }
        catch (Exception error)
        {
            // This says nothing about the token, so the answer is 503.
            throw new Unavailable("its status list cannot be used: " + error.Message, error);
        }
    }

    async Task<(DateTime, byte[])> FetchUsableAsync(string uri, JwtBearerOptions options, CancellationToken cancel)
    {
        var started = DateTime.UtcNow; // The `ttl` is counted from the start of the fetch.
        using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Headers = { { "Accept", "application/statuslist+jwt" } } };
        using var reply = (await http.SendAsync(request, cancel)).EnsureSuccessStatusCode();
        var text = await reply.Content.ReadAsStringAsync(cancel);
        var configuration = await options.ConfigurationManager!.GetConfigurationAsync(cancel);
        var checkedList = await new JsonWebTokenHandler { MapInboundClaims = false }.ValidateTokenAsync(text, new TokenValidationParameters
        {
            IssuerSigningKeys = configuration.SigningKeys,
            ValidAlgorithms = algorithms,
            ValidTypes = ["statuslist+jwt"],
            ValidateIssuer = false,
            ValidateAudience = false,
            RequireExpirationTime = true,
            ClockSkew = TimeSpan.Zero,
        });
        if (!checkedList.IsValid) throw checkedList.Exception;
        if ((string)checkedList.Claims["sub"] != uri) throw new InvalidDataException($"it is the list of {checkedList.Claims["sub"]}");
        var jwt = (JsonWebToken)checkedList.SecurityToken;
        var packed = Base64UrlEncoder.DecodeBytes(jwt.GetPayloadValue<System.Text.Json.JsonElement>("status_list").GetProperty("lst").GetString());
        using var bits = new MemoryStream();
        using (var unpacked = new ZLibStream(new MemoryStream(packed), CompressionMode.Decompress)) unpacked.CopyTo(bits);
        var keptUntil = started.AddSeconds(jwt.GetPayloadValue<long>("ttl"));
        if (jwt.ValidTo < keptUntil) keptUntil = jwt.ValidTo;
        return DateTime.UtcNow < keptUntil ? (keptUntil, bits.ToArray()) : throw new InvalidDataException("it has expired");
    }
}
