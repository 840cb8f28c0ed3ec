package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// Webhook is one receiver.
type Webhook struct {
	// ID names it in the answers of the API.
	ID string
	// URL is where it listens.
	URL string
	// All: it is told of every controller's alerts and of the suite's; otherwise of those of Controllers.
	All         bool
	Controllers []string
	// Least is the least severity it is told of.
	Least  monitor.Severity
	secret []byte
}

// wants reports whether it is to be told of an alert.
func (w Webhook) wants(a monitor.Alert) bool {
	return a.Severity >= w.Least && (w.All || a.Controller != "" && slices.Contains(w.Controllers, string(a.Controller)))
}

// To names those of the webhooks that are to be told of an alert.
func To(hooks []Webhook, a monitor.Alert) (ids []string) {
	for _, w := range hooks {
		if w.wants(a) {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

const (
	maxFile  = 1 << 20
	maxHooks = 50
	// The lengths of a secret in bytes (Standard Webhooks).
	minSecret, maxSecret = 24, 64
)

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ReadFile reads the webhooks of a configuration file and their secrets.
func ReadFile(path string) ([]Webhook, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	defer f.Close()
	hooks, err := Parse(io.LimitReader(f, maxFile), keyring.ReadSecret)
	if err != nil {
		return nil, fmt.Errorf("webhook: %s: %w", path, err)
	}
	return hooks, nil
}

// entry is a webhook as the file has it.
type entry struct {
	ID            string      `yaml:"id"`
	URL           string      `yaml:"url"`
	SecretFile    string      `yaml:"secretFile"`
	Controllers   controllers `yaml:"controllers"`
	LeastSeverity string      `yaml:"leastSeverity"`
}

// controllers are a list of ids, or the word `all`.
type controllers struct {
	all  bool
	list []string
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *controllers) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Value == "all" {
		c.all = true
		return nil
	}
	return n.Decode(&c.list)
}

// Parse reads a configuration, in YAML or JSON, and the secrets that it names. What it does not know it refuses.
func Parse(r io.Reader, secret func(path string) (string, error)) ([]Webhook, error) {
	var file struct {
		Webhooks []entry `yaml:"webhooks"`
	}
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not a list of webhooks: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the list of webhooks")
	}
	if len(file.Webhooks) > maxHooks {
		return nil, fmt.Errorf("more than %d webhooks", maxHooks)
	}
	var out []Webhook
	for i, e := range file.Webhooks {
		w, err := e.webhook(secret)
		if err == nil && slices.ContainsFunc(out, func(o Webhook) bool { return o.ID == w.ID }) {
			err = errors.New("its id is taken")
		}
		if err != nil {
			return nil, fmt.Errorf("webhook %d: %w", i+1, err)
		}
		out = append(out, w)
	}
	return out, nil
}

func (e entry) webhook(secret func(string) (string, error)) (w Webhook, err error) {
	w = Webhook{ID: e.ID, URL: e.URL, All: e.Controllers.all, Controllers: e.Controllers.list, Least: monitor.Notice}
	switch {
	case !idPattern.MatchString(e.ID):
		return w, errors.New("id must be of lower-case letters, digits and hyphens")
	case !w.All && len(w.Controllers) == 0:
		return w, errors.New("controllers must be `all` or a list of ids")
	case slices.ContainsFunc(w.Controllers, func(c string) bool { return !idPattern.MatchString(c) }):
		return w, errors.New("controllers holds what is no id of a controller")
	}
	if err := checkURL(e.URL); err != nil {
		return w, err
	}
	if e.LeastSeverity != "" {
		var ok bool
		if w.Least, ok = monitor.ParseSeverity(e.LeastSeverity); !ok {
			return w, errors.New("leastSeverity must be notice, warning or critical")
		}
	}
	w.secret, err = readSecret(e.SecretFile, secret)
	return w, err
}

// checkURL checks the form; where the name leads is checked at every connection. Without TLS only this machine is spoken to.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("url is not a URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("url must not hold a user, a password or a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())):
		return errors.New("url must be https; http is for loopback only")
	}
	return nil
}

func readSecret(path string, secret func(string) (string, error)) ([]byte, error) {
	if path == "" {
		return nil, errors.New("secretFile is missing")
	}
	text, err := secret(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), "whsec_"))
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("secretFile must hold whsec_ and the base64 of %d to %d bytes", minSecret, maxSecret)
	}
	return key, nil
}
