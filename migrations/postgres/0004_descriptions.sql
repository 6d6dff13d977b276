-- Free text about a workspace, a product or an API client. Same as in ../sqlite.
ALTER TABLE workspaces ADD COLUMN description TEXT;
ALTER TABLE products ADD COLUMN description TEXT;
ALTER TABLE api_clients ADD COLUMN description TEXT;
