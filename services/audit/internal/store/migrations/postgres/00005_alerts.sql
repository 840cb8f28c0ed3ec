-- +goose Up

-- How far the monitor has judged the log, and since when it judges: one row.
CREATE TABLE monitor_head (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  cursor BIGINT NOT NULL,
  since BIGINT NOT NULL
);

-- What the monitor knows of those for whom a rule counts, as JSON.
CREATE TABLE monitor_group (
  rule TEXT NOT NULL,
  controller TEXT NOT NULL,
  who TEXT NOT NULL,
  standing TEXT NOT NULL,
  PRIMARY KEY (rule, controller, who)
);

-- The last number of each controller that was judged.
CREATE TABLE monitor_number (
  controller TEXT PRIMARY KEY,
  sequence BIGINT NOT NULL
);

-- When each service reported last.
CREATE TABLE monitor_heard (
  service TEXT PRIMARY KEY,
  heard_at BIGINT NOT NULL
);

-- The longest time from acceptance to publication, by hours since 1970, in microseconds.
CREATE TABLE monitor_published (
  controller TEXT NOT NULL,
  hour BIGINT NOT NULL,
  longest BIGINT NOT NULL,
  PRIMARY KEY (controller, hour)
);

-- What a person should look at; '' is the suite.
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  controller TEXT NOT NULL,
  rule TEXT NOT NULL,
  severity BIGINT NOT NULL,
  summary_da TEXT NOT NULL,
  summary_en TEXT NOT NULL,
  raised_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  events TEXT NOT NULL,
  acknowledged_at BIGINT NOT NULL,
  acknowledged_by TEXT NOT NULL,
  note TEXT NOT NULL
);
CREATE INDEX alert_by_controller ON alert (controller, id);
CREATE INDEX alert_by_time ON alert (controller, raised_at);

-- What webhooks are to be told.
CREATE TABLE alert_delivery (
  alert TEXT NOT NULL REFERENCES alert (id),
  webhook TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (alert, webhook)
);
CREATE INDEX alert_delivery_due ON alert_delivery (state, next_at);
