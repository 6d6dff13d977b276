# Set $env:CLIENT_ID and $env:CLIENT_SECRET first.
$pair = [Text.Encoding]::ASCII.GetBytes("$($env:CLIENT_ID):$($env:CLIENT_SECRET)")
$reply = Invoke-RestMethod -Method Post `
  -Uri "https://tokens.example.com/oauth2/token" `
  -Headers @{ Authorization = "Basic " + [Convert]::ToBase64String($pair) } `
  -Body @{ grant_type = "client_credentials" }
$reply.access_token
