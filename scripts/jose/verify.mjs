// Verifies a signed decision or a receipt with what node brings along. See
// scripts/check-jose; on its own: node verify.mjs KEYS decision|receipt FILE
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const [keysFile, kind, file] = process.argv.slice(2)
const text = readFileSync(file, 'utf8')

function refuse(why) {
  console.error(`check-jose: node: ${why}`)
  process.exit(1)
}

// Decodes base64url in its one spelling: Buffer passes over what does not belong there.
function decode(part) {
  const bytes = Buffer.from(part ?? '', 'base64url')
  if (!part || bytes.toString('base64url') !== part) refuse('no base64url where it should be')
  return bytes
}

function parse(json) {
  try {
    return JSON.parse(json)
  } catch {
    refuse('no JSON where it should be')
  }
}

let jws = text.trimEnd()
if (kind === 'receipt') {
  const receipt = parse(text)
  // The file is in canonical form: writing what was read gives its bytes again.
  if (JSON.stringify(receipt) + '\n' !== text) refuse('the file is not in canonical form')
  const [header, signature] = String(receipt.jws).split('..')
  jws = [header, Buffer.from(JSON.stringify(receipt.receipt)).toString('base64url'), signature].join('.')
}

const parts = jws.split('.')
if (parts.length !== 3) refuse('no JWS')
const [header, payload, signature] = parts
const { alg, typ, kid, crit } = parse(decode(header))
if (alg !== 'EdDSA' || crit !== undefined) refuse('another algorithm')
if (typ?.split('+')[0] !== `privacyops-${kind}`) refuse('another type of document')
const key = parse(readFileSync(keysFile, 'utf8')).keys.find((k) => k.kid === kid && k.crv === 'Ed25519')
if (!key) refuse('no such key')
if (!verify(null, Buffer.from(`${header}.${payload}`), createPublicKey({ key, format: 'jwk' }), decode(signature))) {
  refuse('the signature is not that of the key for this content')
}
console.log(decode(payload).toString())
