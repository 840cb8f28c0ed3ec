-- +goose Up
-- Objections (GDPR art. 21). What the person says, and why it was decided so, is sealed under a key of the objection's own, which is
-- emptied when the person is erased. Times and revisions are 0 while it is open.
CREATE TABLE objection (
  controller TEXT NOT NULL REFERENCES controller (controller),
  objection_id TEXT NOT NULL,
  activity TEXT NOT NULL,
  state TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  resolve_time BIGINT NOT NULL,
  create_revision BIGINT NOT NULL,
  resolve_revision BIGINT NOT NULL,
  wrapped_key BLOB,
  sealed_texts BLOB,
  PRIMARY KEY (controller, objection_id)
);

-- The pseudonyms under which objections were made, in order: place 0 was named first.
CREATE TABLE objection_subject (
  controller TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  objection_id TEXT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (controller, subject_ref, objection_id),
  FOREIGN KEY (controller, objection_id) REFERENCES objection (controller, objection_id)
);
CREATE INDEX objection_subject_by_objection ON objection_subject (controller, objection_id);

-- Restrictions (GDPR art. 18). An empty activity means all. Times and revisions are 0 while it is active.
CREATE TABLE restriction (
  controller TEXT NOT NULL REFERENCES controller (controller),
  restriction_id TEXT NOT NULL,
  activity TEXT NOT NULL,
  ground TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  lift_time BIGINT NOT NULL,
  create_revision BIGINT NOT NULL,
  lift_revision BIGINT NOT NULL,
  PRIMARY KEY (controller, restriction_id)
);

-- The pseudonyms under which restrictions were made, in order.
CREATE TABLE restriction_subject (
  controller TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  restriction_id TEXT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (controller, subject_ref, restriction_id),
  FOREIGN KEY (controller, restriction_id) REFERENCES restriction (controller, restriction_id)
);
CREATE INDEX restriction_subject_by_restriction ON restriction_subject (controller, restriction_id);

-- Which identifiers, as pseudonyms, were named as one person's, call by call. Is_primary marks those of the controller's primary
-- type at that time.
CREATE TABLE subject_naming (
  controller TEXT NOT NULL REFERENCES controller (controller),
  subject_ref TEXT NOT NULL,
  link_revision BIGINT NOT NULL,
  is_primary BIGINT NOT NULL,
  PRIMARY KEY (controller, subject_ref, link_revision)
);
CREATE INDEX subject_naming_by_revision ON subject_naming (controller, link_revision);

-- Whose an identifier is, from link_time on until its next row: those with the same person id belong together. An identifier that
-- was found to belong to several people has shared = 1 and links nothing. Rows are only added.
CREATE TABLE subject_link (
  controller TEXT NOT NULL REFERENCES controller (controller),
  subject_ref TEXT NOT NULL,
  person_id TEXT NOT NULL,
  shared BIGINT NOT NULL,
  link_time BIGINT NOT NULL,
  link_revision BIGINT NOT NULL,
  PRIMARY KEY (controller, subject_ref, link_revision)
);
CREATE INDEX subject_link_by_person ON subject_link (controller, person_id);

-- Which text was shown when a consent was asked for; '' where that is not known.
ALTER TABLE consent ADD COLUMN text_version TEXT NOT NULL DEFAULT '';
ALTER TABLE consent ADD COLUMN text_language TEXT NOT NULL DEFAULT '';
ALTER TABLE consent ADD COLUMN text_sha256 TEXT NOT NULL DEFAULT '';
