-- +goose Up
CREATE TABLE erasure (
	controller TEXT NOT NULL,
	id TEXT NOT NULL,
	state TEXT NOT NULL,
	ground TEXT NOT NULL,
	subject_ref TEXT NOT NULL,
	-- Raised by each worker that takes the erasure; a write with a lower one changes nothing.
	fence BIGINT NOT NULL,
	-- Raised by each change, whoever makes it.
	revision BIGINT NOT NULL,
	-- When there is work: microseconds, 0 at once, -1 none.
	next_work BIGINT NOT NULL,
	-- The key of what is sealed, wrapped; both are emptied when the erasure ends.
	wrapped_key BLOB,
	sealed_identifiers BLOB,
	document TEXT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (controller, id)
);
CREATE INDEX erasure_by_subject ON erasure (controller, subject_ref);
CREATE INDEX erasure_by_work ON erasure (next_work);

-- Pseudonyms of people who were erased, so that no restore, roster or import brings them back unseen.
CREATE TABLE tombstone (
	controller TEXT NOT NULL,
	subject_ref TEXT NOT NULL,
	erasure TEXT NOT NULL,
	erase_time BIGINT NOT NULL,
	PRIMARY KEY (controller, subject_ref)
);

CREATE TABLE roster_institution (
	controller TEXT NOT NULL,
	institution TEXT NOT NULL,
	school_year TEXT NOT NULL,
	export_time BIGINT NOT NULL,
	wrapped_key BLOB NOT NULL,
	PRIMARY KEY (controller, institution)
);

CREATE TABLE roster_member (
	controller TEXT NOT NULL,
	institution TEXT NOT NULL,
	subject_ref TEXT NOT NULL,
	roles BIGINT NOT NULL,
	-- The user name, sealed with the institution's key: the erasure that retention asks for needs it.
	sealed_identifier BLOB NOT NULL,
	-- 0 while the person is in the roster.
	departed_time BIGINT NOT NULL,
	PRIMARY KEY (controller, institution, subject_ref)
);

CREATE TABLE roster (
	controller TEXT NOT NULL,
	id TEXT NOT NULL,
	state TEXT NOT NULL,
	institution TEXT NOT NULL,
	document TEXT NOT NULL,
	-- A held extract, sealed until it is confirmed or discarded.
	wrapped_key BLOB,
	sealed_extract BLOB,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (controller, id)
);

-- +goose Down
DROP TABLE roster;
DROP TABLE roster_member;
DROP TABLE roster_institution;
DROP TABLE tombstone;
DROP TABLE erasure;
