# Set TOKEN to an access token, and PRODUCT to the code of the product that you serve.
curl -sS -i -H "Authorization: Bearer $TOKEN" \
  "https://tokens.example.com/oauth2/verify?product=$PRODUCT"
