"""What admins do: one service a noun, called by the admin API, the dashboard and nothing else.

Every method takes the `Actor` first and enforces the roles itself. No HTTP here (that is `api/`), no SQL.
"""
