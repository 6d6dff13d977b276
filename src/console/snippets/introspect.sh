# Set TOKEN, and the CLIENT_ID and CLIENT_SECRET of the API client that it was issued to
# (for tokens of others: of one with the permission mintmark:introspect).
curl -sS -u "$CLIENT_ID:$CLIENT_SECRET" \
  -d token="$TOKEN" \
  https://tokens.example.com/oauth2/introspect
