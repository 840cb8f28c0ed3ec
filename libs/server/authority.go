package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/keyring"
)

const (
	certificateLife = 365 * 24 * time.Hour
	// An authority that is kept outlives what it signs: it gets a new certificate, for the same key, while there are two years left.
	authorityLife   = 10 * 365 * 24 * time.Hour
	authorityName   = "privacyops authority"
	authorityMargin = 2 * 365 * 24 * time.Hour
)

// Authority makes the certificates of an installation. One of [NewAuthority] has a key that lives only as long as the process
// that made it: every start of an embedded installation makes a new authority and new certificates, so there is nothing to renew
// and no key of an authority to steal. One of [OpenAuthority] keeps its key in a file, for processes on several machines.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
}

// NewAuthority makes an authority and writes its certificate to dir.
func NewAuthority(dir string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("server: authority key: %w", err)
	}
	a := &Authority{dir: dir, key: key, now: now}
	return a, a.sign("privacyops embedded authority", certificateLife)
}

// OpenAuthority reads an authority from authority.crt and authority.key in dir, or makes one that is kept there. Its certificate
// is renewed in good time, for the same key: what it has signed before stays valid.
func OpenAuthority(dir string, now time.Time) (*Authority, error) {
	a := &Authority{dir: dir, now: now}
	text, err := keyring.ReadSecret(filepath.Join(dir, "authority.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.found()
	}
	if err != nil {
		return nil, fmt.Errorf("server: authority key: %w", err)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("server: authority.key is no PEM file")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("server: authority.key holds no private key")
	}
	var ok bool
	if a.key, ok = key.(*ecdsa.PrivateKey); !ok {
		return nil, errors.New("server: authority.key holds no ECDSA key")
	}
	a.cert, err = readCertificate(filepath.Join(dir, "authority.crt"))
	if errors.Is(err, fs.ErrNotExist) { // the first start ended between the two files
		return a, a.sign(authorityName, authorityLife)
	}
	if err != nil {
		return nil, err
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, errors.New("server: authority.crt and authority.key do not belong together")
	}
	if a.cert.NotAfter.Sub(now) < authorityMargin {
		return a, a.sign(authorityName, authorityLife)
	}
	return a, nil
}

// found makes an authority that is kept, but no second one.
func (a *Authority) found() (err error) {
	if _, err := os.Stat(filepath.Join(a.dir, "authority.crt")); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.New("server: there is a certificate of an authority, but not its key; restore authority.key"), err)
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("server: authority key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return fmt.Errorf("server: authority key: %w", err)
	}
	if err := writePEM(filepath.Join(a.dir, "authority.key"), "PRIVATE KEY", der); err != nil {
		return err
	}
	return a.sign(authorityName, authorityLife)
}

// sign gives the authority a certificate of its own.
func (a *Authority) sign(name string, life time.Duration) error {
	template := a.template(name, life)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero, template.KeyUsage = true, true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("server: authority certificate: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("server: authority certificate: %w", err)
	}
	return a.Publish(a.dir)
}

// Publish writes the authority's certificate to a folder, unless it is there.
func (a *Authority) Publish(dir string) error {
	path := filepath.Join(dir, "authority.crt")
	if there, err := readCertificate(path); err == nil && there.Equal(a.cert) {
		return nil
	}
	return writePEM(path, "CERTIFICATE", a.cert.Raw)
}

func (a *Authority) template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: a.now.Add(-time.Hour), NotAfter: a.now.Add(life)}
}

// Issue makes a service's certificate and key beside the authority's, and names their files.
func (a *Authority) Issue(service string) (TLSFiles, error) { return a.IssueTo(a.dir, service) }

// IssueTo makes a certificate and key in a folder, with the authority's certificate beside them. The certificate is for the name
// that services know each other by, `<service>.privacyops.internal`, and for further DNS names that others may call it by.
func (a *Authority) IssueTo(dir, service string, names ...string) (TLSFiles, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return TLSFiles{}, fmt.Errorf("server: key of %s: %w", service, err)
	}
	t := a.template(service+domain, certificateLife)
	t.DNSNames, t.KeyUsage = append([]string{service + domain}, names...), x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return TLSFiles{}, fmt.Errorf("server: certificate of %s: %w", service, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return TLSFiles{}, fmt.Errorf("server: key of %s: %w", service, err)
	}
	files := In(dir, service)
	return files, errors.Join(writePEM(files.Key, "PRIVATE KEY", keyDER), writePEM(files.Certificate, "CERTIFICATE", der), a.Publish(dir))
}

// Good reports whether a service's certificate in a folder is this authority's, fits its key, has the names of [Authority.IssueTo]
// and no others, and lasts for at least another margin.
func (a *Authority) Good(dir, service string, margin time.Duration, names ...string) bool {
	files := In(dir, service)
	cert, err := readCertificate(files.Certificate)
	if err != nil || cert.CheckSignatureFrom(a.cert) != nil || cert.NotAfter.Sub(a.now) < margin {
		return false
	}
	if !slices.Equal(cert.DNSNames, append([]string{service + domain}, names...)) {
		return false
	}
	_, err = tls.LoadX509KeyPair(files.Certificate, files.Key)
	return err == nil
}

// Names are the further DNS names in a service's certificate in a folder; none where there is no certificate.
func Names(dir, service string) []string {
	cert, err := readCertificate(In(dir, service).Certificate)
	if err != nil || len(cert.DNSNames) == 0 {
		return nil
	}
	return cert.DNSNames[1:]
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("server: certificate: %w", err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("server: %s does not hold one certificate", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("server: %s does not hold one certificate", path)
	}
	return cert, nil
}

// writePEM replaces a file whole, so that nobody reads half of one.
func writePEM(path, kind string, der []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("server: write %s: %w", kind, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("server: write %s: %w", kind, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("server: write %s: %w", kind, err)
	}
	return nil
}
