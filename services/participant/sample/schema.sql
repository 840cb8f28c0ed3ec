CREATE TABLE schools (
  id                 TEXT PRIMARY KEY, -- the controller's id
  name               TEXT NOT NULL,
  institution_number TEXT NOT NULL UNIQUE
);
CREATE TABLE users (
  id             INTEGER PRIMARY KEY,
  school         TEXT NOT NULL REFERENCES schools (id),
  unilogin       TEXT NOT NULL UNIQUE,
  local_id       TEXT NOT NULL UNIQUE, -- the number in the school's own administration
  role           TEXT NOT NULL,
  first_name     TEXT NOT NULL,
  last_name      TEXT NOT NULL,
  display_name   TEXT NOT NULL,
  email          TEXT NOT NULL UNIQUE,
  phone          TEXT,
  born           TEXT,
  guardian_name  TEXT,
  guardian_email TEXT, -- siblings share it
  guardian_phone TEXT,
  created_at     TEXT NOT NULL
);
CREATE TABLE classes (
  id       INTEGER PRIMARY KEY,
  school   TEXT NOT NULL REFERENCES schools (id),
  name     TEXT NOT NULL,
  level    INTEGER NOT NULL,
  homeroom INTEGER REFERENCES users (id)
);
CREATE TABLE enrolments (
  person    INTEGER NOT NULL REFERENCES users (id),
  class     INTEGER NOT NULL REFERENCES classes (id),
  from_date TEXT NOT NULL,
  PRIMARY KEY (person, class)
);
CREATE TABLE courses (
  id      INTEGER PRIMARY KEY,
  class   INTEGER NOT NULL REFERENCES classes (id),
  subject TEXT NOT NULL,
  teacher INTEGER REFERENCES users (id)
);
CREATE TABLE assignments (
  id         INTEGER PRIMARY KEY,
  course     INTEGER NOT NULL REFERENCES courses (id),
  title      TEXT NOT NULL,
  created_by INTEGER REFERENCES users (id),
  due_on     TEXT NOT NULL
);
CREATE TABLE submissions (
  id           INTEGER PRIMARY KEY,
  assignment   INTEGER NOT NULL REFERENCES assignments (id),
  pupil        INTEGER NOT NULL REFERENCES users (id),
  body         TEXT NOT NULL,
  submitted_at TEXT NOT NULL
);
CREATE TABLE submission_files (
  id         INTEGER PRIMARY KEY,
  submission INTEGER NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
  file_name  TEXT NOT NULL,
  media_type TEXT NOT NULL,
  content    BLOB NOT NULL
);
CREATE TABLE grades (
  id         INTEGER PRIMARY KEY,
  submission INTEGER NOT NULL REFERENCES submissions (id),
  pupil      INTEGER NOT NULL REFERENCES users (id),
  grader     INTEGER REFERENCES users (id),
  mark       TEXT NOT NULL,
  feedback   TEXT NOT NULL,
  graded_at  TEXT NOT NULL
);
CREATE TABLE forum_threads (
  id         INTEGER PRIMARY KEY,
  course     INTEGER NOT NULL REFERENCES courses (id),
  author     INTEGER REFERENCES users (id),
  title      TEXT NOT NULL,
  started_at TEXT NOT NULL
);
CREATE TABLE forum_posts (
  id        INTEGER PRIMARY KEY,
  thread    INTEGER NOT NULL REFERENCES forum_threads (id),
  reply_to  INTEGER REFERENCES forum_posts (id),
  author    INTEGER REFERENCES users (id),
  body      TEXT NOT NULL,
  posted_at TEXT NOT NULL
);
CREATE TABLE messages (
  id        INTEGER PRIMARY KEY,
  sender    INTEGER NOT NULL REFERENCES users (id),
  recipient INTEGER NOT NULL REFERENCES users (id),
  body      TEXT NOT NULL,
  sent_at   TEXT NOT NULL
);
CREATE TABLE logins (
  id         INTEGER PRIMARY KEY,
  person     INTEGER NOT NULL REFERENCES users (id),
  at         TEXT NOT NULL,
  ip         TEXT NOT NULL,
  user_agent TEXT NOT NULL
);
CREATE TABLE support_tickets ( -- of another system once: it knows people by address only
  id            INTEGER PRIMARY KEY,
  contact_email TEXT,
  contact_phone TEXT,
  subject       TEXT NOT NULL,
  body          TEXT NOT NULL,
  handled_by    INTEGER REFERENCES users (id),
  opened_at     TEXT NOT NULL
);
CREATE TABLE attendance (
  id            INTEGER PRIMARY KEY,
  pupil         INTEGER NOT NULL REFERENCES users (id),
  day           TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT,
  registered_by INTEGER REFERENCES users (id)
);
CREATE TABLE photos (
  id       INTEGER PRIMARY KEY,
  pupil    INTEGER NOT NULL REFERENCES users (id), -- shared with the class on the guardian's consent
  uploader INTEGER REFERENCES users (id),
  caption  TEXT NOT NULL,
  taken_on TEXT NOT NULL,
  image    BLOB NOT NULL
);
CREATE TABLE exam_records ( -- kept after the pupil has left, so it repeats name and user name
  id        INTEGER PRIMARY KEY,
  school    TEXT NOT NULL REFERENCES schools (id),
  unilogin  TEXT NOT NULL,
  full_name TEXT NOT NULL,
  exam      TEXT NOT NULL,
  mark      TEXT NOT NULL,
  held_on   TEXT NOT NULL
);
CREATE TABLE notices ( -- the school's own notices: nobody's data
  id        INTEGER PRIMARY KEY,
  school    TEXT NOT NULL REFERENCES schools (id),
  body      TEXT NOT NULL,
  posted_on TEXT NOT NULL
);
CREATE INDEX enrolments_class ON enrolments (class);
CREATE INDEX submissions_pupil ON submissions (pupil);
CREATE INDEX submission_files_submission ON submission_files (submission);
CREATE INDEX grades_pupil ON grades (pupil);
CREATE INDEX grades_submission ON grades (submission);
CREATE INDEX forum_posts_author ON forum_posts (author);
CREATE INDEX forum_posts_reply_to ON forum_posts (reply_to);
CREATE INDEX messages_sender ON messages (sender);
CREATE INDEX messages_recipient ON messages (recipient);
CREATE INDEX logins_person ON logins (person);
CREATE INDEX attendance_pupil ON attendance (pupil);
