// Package installation makes the keys and certificates of an installation whose services are processes of their own: a folder
// for each, with what that process may see and nothing else.
//
//	authority/    authority.key, which signs the certificates and is needed nowhere else; authority.crt
//	<service>/    authority.crt, <service>.crt, <service>.key, master.key
//	audit/        also log.key, log.key.pub       signs checkpoints of the log
//	export/       also manifest.key, manifest.pub signs manifests of exports
//	erasure/      also certificate.key, certificate.pub  signs certificates of erasure
//	postgres/ redis/  authority.crt, and a certificate and key for the server
//	migrate/      authority.crt
//	made          the keys that were made here, by name; it is no secret
//
// Services know each other by the name in the certificate, `<service>.privacyops.internal`, whatever address they are called at.
// PostgreSQL, Redis and the public door are called by clients that compare the certificate with the address: their certificates
// hold the further names that [Options] give.
package installation

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
)

// renewal is how long before its end a certificate is renewed.
const renewal = 30 * 24 * time.Hour

// Services have a folder with their certificate and the master key; servers have their certificate alone.
var (
	services = []string{"audit", "consent", "export", "erasure", "participant", "gateway"}
	servers  = []string{"postgres", "redis"}
)

// Options say what to make.
type Options struct {
	// Dir is the installation's folder. Nobody but its owner may look into it.
	Dir string
	// Renew makes all certificates anew, also those that last.
	Renew bool
	// Names are further DNS names for certificates, by the service or server. Those that are not named keep the names they have.
	Names map[string][]string
	// Origin is the audit log's name.
	Origin string
	// Now is the time, from which certificates last a year.
	Now time.Time
	// Tell is told what was made and what was kept, a line each.
	Tell func(line string)
}

// Make makes what is missing and renews what is about to end. A key whose loss would lose data is made once: where one is gone
// that was made before, the error says so and nothing is changed. Run again it changes nothing, or renews certificates.
func Make(o Options) error {
	for name := range o.Names {
		if !slices.Contains(services, name) && !slices.Contains(servers, name) {
			return fmt.Errorf("there is no certificate of %q; there are those of %s", name, strings.Join(append(services, servers...), ", "))
		}
	}
	if err := folders(o.Dir); err != nil {
		return err
	}
	keys := lasting(o)
	if err := complete(o.Dir, keys); err != nil {
		return err
	}
	for _, k := range keys {
		if err := k.keep(o); err != nil {
			return err
		}
	}
	if err := remember(o.Dir, keys); err != nil {
		return err
	}
	return certify(o)
}

func folders(dir string) error {
	all := slices.Concat([]string{".", "authority", "migrate"}, services, servers)
	for _, name := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("make the installation's folder: %w", err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			return errors.Join(fmt.Errorf("others can look into %s; give it mode 0700", path), err)
		}
	}
	return nil
}

// certify renews the authority, and the certificates that need it.
func certify(o Options) error {
	authority, err := server.OpenAuthority(filepath.Join(o.Dir, "authority"), o.Now)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(services, servers) {
		dir := filepath.Join(o.Dir, name)
		names, given := o.Names[name]
		if !given {
			names = server.Names(dir, name)
		}
		what := name + "/" + name + ".crt"
		if !o.Renew && authority.Good(dir, name, renewal, names...) {
			o.Tell("kept  " + what)
			if err := authority.Publish(dir); err != nil {
				return err
			}
			continue
		}
		if _, err := authority.IssueTo(dir, name, names...); err != nil {
			return err
		}
		o.Tell("made  " + what + ", which lasts a year")
	}
	return authority.Publish(filepath.Join(o.Dir, "migrate"))
}

// key is one that lasts as long as the installation, in one file or several copies of one.
type key struct {
	name  string
	files []string
	make  func() (secret, public string, err error)
}

// lasting are the keys whose loss would lose data: without the master key nobody's entries are found again, without the others
// nothing that was signed can be continued.
func lasting(o Options) []key {
	master := key{name: "master.key", make: func() (string, string, error) {
		raw := make([]byte, keyring.KeySize)
		_, _ = rand.Read(raw) // crypto/rand.Read never fails
		return base64.StdEncoding.EncodeToString(raw), "", nil
	}}
	for _, s := range services {
		master.files = append(master.files, filepath.Join(s, master.name))
	}
	signing := func(file, name string) key {
		return key{name: filepath.ToSlash(file), files: []string{file}, make: func() (string, string, error) { return note.GenerateKey(rand.Reader, name) }}
	}
	return []key{master,
		signing(filepath.Join("audit", "log.key"), o.Origin),
		signing(filepath.Join("export", "manifest.key"), "privacyops.internal/exports"),
		signing(filepath.Join("erasure", "certificate.key"), "privacyops.internal/certificates")}
}

// find reads the copies of a key that there are. They must be the same.
func (k key) find(dir string) (secret string, missing []string, err error) {
	for _, file := range k.files {
		text, err := keyring.ReadSecret(filepath.Join(dir, file))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, file)
		case err != nil:
			return "", nil, err
		case secret != "" && secret != text:
			return "", nil, fmt.Errorf("%s is another key than its copies in the other folders; find out which is right", filepath.Join(dir, file))
		default:
			secret = text
		}
	}
	return secret, missing, nil
}

// keep makes a key where there is none, and the copies that are missing.
func (k key) keep(o Options) error {
	secret, missing, err := k.find(o.Dir)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		o.Tell("kept  " + k.name)
		return nil
	}
	said := "copied " + k.name + " to where it was missing"
	if secret == "" {
		var public string
		if secret, public, err = k.make(); err != nil {
			return fmt.Errorf("make %s: %w", k.name, err)
		}
		said = "made  " + k.name
		if public != "" {
			if err := publish(o, k.files[0], public); err != nil {
				return err
			}
		}
	}
	for _, file := range missing {
		if err := keyring.WriteSecret(filepath.Join(o.Dir, file), secret); err != nil {
			return err
		}
	}
	o.Tell(said)
	return nil
}

// publish lays a public key beside the secret one. The log's is where the audit service puts it itself.
func publish(o Options, file, public string) error {
	path := strings.TrimSuffix(file, ".key") + ".pub"
	if filepath.Base(file) == "log.key" {
		path = file + ".pub"
	}
	return os.WriteFile(filepath.Join(o.Dir, path), []byte(public+"\n"), 0o600)
}

// list is the file with the names of the keys that were made.
const list = "made"

// complete refuses an installation that has lost a key which it had.
func complete(dir string, keys []key) error {
	text, err := os.ReadFile(filepath.Join(dir, list))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what was made: %w", err)
	}
	made := strings.Fields(string(text))
	for _, k := range keys {
		secret, _, err := k.find(dir)
		if err != nil {
			return err
		}
		if secret == "" && slices.Contains(made, k.name) {
			return fmt.Errorf("%s was made for this installation and is gone; restore it from the backup: a new one would not fit the data", k.name)
		}
	}
	return nil
}

// remember notes which keys there are, whole or not at all.
func remember(dir string, keys []key) error {
	var text bytes.Buffer
	for _, k := range keys {
		fmt.Fprintln(&text, k.name)
	}
	path := filepath.Join(dir, list)
	if err := os.WriteFile(path+".new", text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("note what was made: %w", err)
	}
	return os.Rename(path+".new", path)
}
