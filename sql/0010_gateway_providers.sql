-- What each gateway last reported of its providers: [["name", "health"], ...].
ALTER TABLE gateways ADD COLUMN providers_json TEXT NOT NULL DEFAULT '[]';
