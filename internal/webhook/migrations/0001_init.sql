-- secret is AES-256-GCM: nonce and ciphertext, under a key file of the data folder; empty when nothing is signed.
CREATE TABLE mlflow_webhook (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	url TEXT NOT NULL,
	events TEXT NOT NULL,
	secret BYTEA NOT NULL,
	active BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
