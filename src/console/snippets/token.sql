DECLARE
  client_id     CONSTANT VARCHAR2(64) := 'CLIENT_ID';
  client_secret CONSTANT VARCHAR2(64) := 'CLIENT_SECRET';
  form          CONSTANT VARCHAR2(64) := 'grant_type=client_credentials';
  request       UTL_HTTP.REQ;
  reply         UTL_HTTP.RESP;
  body          VARCHAR2(32767);
BEGIN
  request := UTL_HTTP.BEGIN_REQUEST('https://tokens.example.com/oauth2/token', 'POST', 'HTTP/1.1');
  UTL_HTTP.SET_AUTHENTICATION(request, client_id, client_secret, 'Basic');
  UTL_HTTP.SET_HEADER(request, 'Content-Type', 'application/x-www-form-urlencoded');
  UTL_HTTP.SET_HEADER(request, 'Content-Length', LENGTH(form));
  UTL_HTTP.WRITE_TEXT(request, form);
  reply := UTL_HTTP.GET_RESPONSE(request);
  UTL_HTTP.READ_TEXT(reply, body);
  UTL_HTTP.END_RESPONSE(reply);
  DBMS_OUTPUT.PUT_LINE(JSON_VALUE(body, '$.access_token'));
END;
