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
        OnChallenge = context =>
        {
            // 401 would make the caller discard a good token.
            if (context.AuthenticateFailure is not (HttpRequestException or InvalidOperationException or TaskCanceledException)) return Task.CompletedTask;
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

/// <summary>The status lists of one issuer, each kept for its `ttl`.</summary>
class StatusLists(string issuer, string[] algorithms)
{
    readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(5) };
    readonly System.Collections.Concurrent.ConcurrentDictionary<string, (DateTime KeptUntil, byte[] Bits)> lists = new();

    /// <summary>0: valid, 1: revoked, 2: suspended.</summary>
    public async Task<int> StatusAsync(JsonWebToken token, JwtBearerOptions options, CancellationToken cancel)
    {
        var place = token.GetPayloadValue<System.Text.Json.JsonElement>("status").GetProperty("status_list");
        var (uri, idx) = (place.GetProperty("uri").GetString()!, place.GetProperty("idx").GetInt32());
        if (!uri.StartsWith(issuer + "/", StringComparison.Ordinal)) return 1;
        if (!lists.TryGetValue(uri, out var list) || DateTime.UtcNow >= list.KeptUntil)
            lists[uri] = list = await FetchAsync(uri, options, cancel);
        return idx / 4 < list.Bits.Length ? list.Bits[idx / 4] >> (idx % 4 * 2) & 3 : 1;
    }

    async Task<(DateTime, byte[])> FetchAsync(string uri, JwtBearerOptions options, CancellationToken cancel)
    {
        var started = DateTime.UtcNow; // A list is kept for its `ttl`, counted from the start of the fetch.
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
            ClockSkew = TimeSpan.FromSeconds(5),
        });
        if (!checkedList.IsValid || (string)checkedList.Claims["sub"] != uri) throw new HttpRequestException($"{uri} is not a status list");
        var jwt = (JsonWebToken)checkedList.SecurityToken;
        var packed = Base64UrlEncoder.DecodeBytes(jwt.GetPayloadValue<System.Text.Json.JsonElement>("status_list").GetProperty("lst").GetString());
        using var bits = new MemoryStream();
        using (var unpacked = new ZLibStream(new MemoryStream(packed), CompressionMode.Decompress)) unpacked.CopyTo(bits);
        return (started.AddSeconds(jwt.GetPayloadValue<long>("ttl")), bits.ToArray());
    }
}
