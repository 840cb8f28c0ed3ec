// Package webhook tells other systems of alerts, by Standard Webhooks (https://www.standardwebhooks.com, version 1.0.0).
//
// Each message has the id of its alert, the same at every attempt, so that a receiver can drop what it has; its signature is an
// HMAC-SHA256 over id, time of the attempt and body. What is not taken is tried again over 24 hours, and then lies dead where
// the alert is listed. A body names rules, resources and pseudonyms, never a person.
//
// The addresses come from the operator, and are guarded all the same: a name that leads to an address inside the installation is
// not connected to, whatever it resolved to a moment before, and redirects are not followed.
package webhook
