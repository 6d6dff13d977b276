//! Instructions for the people who set up an ERP: one guide per program, with the values of one client filled in.

/// The values that are filled in.
pub(super) struct Values<'a> {
    pub(super) token_url: &'a str,
    pub(super) client_id: &'a str,
    /// The secret, or a placeholder where the console does not know it.
    pub(super) secret: &'a str,
}

/// The instructions for one program.
#[derive(Debug, Clone)]
pub(super) struct Guide {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) intro: &'static str,
    /// The fields to fill in, as the program calls them, with their values.
    pub(super) fields: Vec<(&'static str, String)>,
    /// A text to copy.
    pub(super) code: String,
    /// What to look out for.
    pub(super) note: &'static str,
    pub(super) is_open: bool,
}

/// All guides. The guide for `kind`, a kind of ERP, comes first and is open.
pub(super) fn all(values: &Values<'_>, kind: &str) -> Vec<Guide> {
    let mut guides = vec![
        sap(values),
        oracle_cloud(values),
        oracle_database(values),
        power_query(values),
        tally(),
        curl(values),
        postman(values),
    ];
    let wanted = match kind {
        "sap" => "sap",
        "oracle" => "oracle-cloud",
        "dynamics" => "power-query",
        "tally" => "tally",
        _ => "curl",
    };
    guides.sort_by_key(|guide| guide.id != wanted);
    if let Some(first) = guides.first_mut() {
        first.is_open = true;
    }
    guides
}

fn guide(id: &'static str, name: &'static str, intro: &'static str) -> Guide {
    Guide { id, name, intro, fields: Vec::new(), code: String::new(), note: "", is_open: false }
}

fn sap(values: &Values<'_>) -> Guide {
    Guide {
        fields: vec![
            ("Client ID", values.client_id.to_owned()),
            ("Client Secret", values.secret.to_owned()),
            ("Token Endpoint", values.token_url.trim_start_matches("https://").to_owned()),
            ("Client Authentication", "Basic".to_owned()),
            ("Resource Access Authentication", "Header Field".to_owned()),
            ("Selected Grant Type", "Client Credentials".to_owned()),
        ],
        note: "The certificate of the server must be in the PSE “SSL Client (Anonymous)” (transaction STRUST).",
        ..guide(
            "sap",
            "SAP (OA2C_CONFIG)",
            "In transaction OA2C_CONFIG create an OAuth 2.0 client and fill in:",
        )
    }
}

fn oracle_cloud(values: &Values<'_>) -> Guide {
    Guide {
        fields: vec![
            ("Security Policy", "OAuth Client Credentials".to_owned()),
            ("Access Token URI", values.token_url.to_owned()),
            ("Client Id", values.client_id.to_owned()),
            ("Client Secret", values.secret.to_owned()),
            ("Scope", "leave it empty".to_owned()),
            ("Client Authentication", "Send client credentials as basic auth header".to_owned()),
        ],
        ..guide(
            "oracle-cloud",
            "Oracle Integration (OIC)",
            "In the connection of a REST Adapter, under Security, fill in:",
        )
    }
}

fn oracle_database(values: &Values<'_>) -> Guide {
    let Values { token_url, client_id, secret } = values;
    Guide {
        code: format!(
            "DECLARE\n  req  UTL_HTTP.REQ;\n  resp UTL_HTTP.RESP;\n  body VARCHAR2(100) := 'grant_type=client_credentials';\n  line VARCHAR2(32767);\nBEGIN\n  req := UTL_HTTP.BEGIN_REQUEST('{token_url}', 'POST', 'HTTP/1.1');\n  UTL_HTTP.SET_AUTHENTICATION(req, '{client_id}', '{secret}');\n  UTL_HTTP.SET_HEADER(req, 'Content-Type', 'application/x-www-form-urlencoded');\n  UTL_HTTP.SET_HEADER(req, 'Content-Length', LENGTH(body));\n  UTL_HTTP.WRITE_TEXT(req, body);\n  resp := UTL_HTTP.GET_RESPONSE(req);\n  UTL_HTTP.READ_TEXT(resp, line);\n  UTL_HTTP.END_RESPONSE(resp);\n  DBMS_OUTPUT.PUT_LINE(JSON_VALUE(line, '$.access_token'));\nEND;"
        ),
        note: "The database needs an ACL for the host (DBMS_NETWORK_ACL_ADMIN) and a wallet with the certificate of the CA that issued the certificate of the host.",
        ..guide("oracle-database", "Oracle Database (UTL_HTTP)", "PL/SQL that gets a token:")
    }
}

fn power_query(values: &Values<'_>) -> Guide {
    let Values { token_url, client_id, secret } = values;
    Guide {
        code: format!(
            "let\n  credentials = Binary.ToText(Text.ToBinary(\"{client_id}:{secret}\"), BinaryEncoding.Base64),\n  reply = Json.Document(Web.Contents(\"{token_url}\", [\n    Headers = [Authorization = \"Basic \" & credentials, #\"Content-Type\" = \"application/x-www-form-urlencoded\"],\n    Content = Text.ToBinary(\"grant_type=client_credentials\")\n  ])),\n  token = reply[access_token]\nin\n  token"
        ),
        note: "Set the data source to Anonymous: the query sends the credentials itself.",
        ..guide("power-query", "Power Query (Excel, Power BI, Dynamics)", "A query in M that gets a token:")
    }
}

fn tally() -> Guide {
    Guide {
        fields: vec![("Token", "the access token that you generate here".to_owned())],
        note: "Tally keeps what is pasted. When the token is to change, generate a new one here, paste it, then revoke the old one.",
        ..guide(
            "tally",
            "Tally",
            "Tally does not ask for tokens by itself. Choose Generate Access Token, and paste the token into the add-on that connects Tally:",
        )
    }
}

fn curl(values: &Values<'_>) -> Guide {
    Guide {
        code: curl_text(values),
        note: "The reply is JSON with access_token. Send it as Authorization: Bearer to the products.",
        ..guide("curl", "curl", "A command that gets a token:")
    }
}

/// The command that gets a token.
pub(super) fn curl_text(values: &Values<'_>) -> String {
    let Values { token_url, client_id, secret } = values;
    format!("curl -u '{client_id}:{secret}' \\\n  -d grant_type=client_credentials \\\n  {token_url}")
}

fn postman(values: &Values<'_>) -> Guide {
    Guide {
        fields: vec![
            ("Type", "OAuth 2.0".to_owned()),
            ("Grant Type", "Client Credentials".to_owned()),
            ("Access Token URL", values.token_url.to_owned()),
            ("Client ID", values.client_id.to_owned()),
            ("Client Secret", values.secret.to_owned()),
            ("Client Authentication", "Send as Basic Auth header".to_owned()),
        ],
        ..guide("postman", "Postman", "Under Authorization of a request or a collection fill in:")
    }
}
