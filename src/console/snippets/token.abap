DATA(client_id)     = `CLIENT_ID`.
DATA(client_secret) = `CLIENT_SECRET`.

cl_http_client=>create_by_url(
  EXPORTING url    = 'https://tokens.example.com/oauth2/token'
  IMPORTING client = DATA(http) ).
http->propertytype_logon_popup = if_http_client=>co_disabled.
http->authenticate( username = CONV #( client_id ) password = CONV #( client_secret ) ).
http->request->set_method( if_http_request=>co_request_method_post ).
http->request->set_content_type( 'application/x-www-form-urlencoded' ).
http->request->set_cdata( `grant_type=client_credentials` ).
http->send( ).
http->receive( ).
http->response->get_status( IMPORTING code = DATA(status) ).
DATA(body) = http->response->get_cdata( ).
http->close( ).

IF status = 200.
  FIND REGEX `"access_token":"([^"]+)"` IN body SUBMATCHES DATA(token).
ENDIF.
