# Set CLIENT_ID and CLIENT_SECRET first.
curl -sS -u "$CLIENT_ID:$CLIENT_SECRET" \
  -d grant_type=client_credentials \
  https://tokens.example.com/oauth2/token
