package redis

import (
	"cmp"
	"net/url"

	"github.com/privacyops/privacyops/libs/telemetry"
)

// Settings are what a process is told about Redis, by flags or by the environment.
type Settings struct {
	URL          string `help:"Redis that replicas share, rediss://user@host:port/database, without a password. Empty: each replica for itself." name:"redis" placeholder:"URL" env:"PRIVACYOPS_REDIS"`
	PasswordFile string `help:"File with the password for Redis, mode 0600." name:"redis-password-file" env:"PRIVACYOPS_REDIS_PASSWORD_FILE"`
	Authority    string `help:"File with the authority that Redis' certificate is verified by. Empty: the installation's own." name:"redis-authority" env:"PRIVACYOPS_REDIS_AUTHORITY"`
	Plaintext    bool   `help:"Allow redis:// to another machine, on a network of its own." name:"redis-plaintext" env:"PRIVACYOPS_REDIS_PLAINTEXT"`
}

// Open makes a client, nil where no Redis is named. The files, which are the process's own, are for rediss:// alone.
func (s Settings) Open(files TLSFiles, tel *telemetry.Telemetry) (*Client, error) {
	if s.URL == "" {
		return nil, nil
	}
	cfg := Config{URL: s.URL, PasswordFile: s.PasswordFile, Plaintext: s.Plaintext, Telemetry: tel}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "rediss" { // what cannot be read New refuses
		cfg.TLS = files
		cfg.TLS.Authority = cmp.Or(s.Authority, files.Authority)
	}
	return New(cfg)
}
