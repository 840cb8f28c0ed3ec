// Package receipt makes the receipt of a consent: what a person, or the guardian who spoke for them, takes home (GDPR art. 7(1)).
//
// # The document
//
// A receipt has the structure of a consent receipt of ISO/IEC TS 27560:2023 (header, record with processing, parties and events) in the
// terms of the W3C Data Privacy Vocabulary, as JSON-LD. Its context stands in the document, so nothing is fetched to read it. It
// holds no identifier of the person: pseudonyms alone, by which the platform finds the person again. Names and addresses in it are
// those of the controller and its data protection officer.
//
// # The signature
//
// The file is one line of JSON in canonical form (RFC 8785) and a line feed:
//
//	{"jws":"HEADER..SIGNATURE","receipt":{…}}
//
// It can be read as it is, and what is read is what was signed: `jws` is a JWS with detached content (RFC 7515 appendix F) over the
// bytes of `receipt` as they stand in the file. To verify it with any JOSE implementation, put their base64url between the two full stops,
// and take the key with the `kid` of the header from /v1/legalBasis/keys (or a copy of it from that time). Because the file is in
// canonical form, a program need not cut the bytes out: JSON.stringify of the parsed member gives them again. scripts/check-jose does
// it with node alone and with openssl alone; legalbasis.VerifyReceipt in Go. A receipt of which any byte was changed does not
// verify.
package receipt
